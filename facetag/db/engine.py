"""Connect to PostgreSQL: engines, transactions that report lost connections, and migrations."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, TypeVar

import psycopg
import structlog
from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from facetag.errors import DatabaseBusy, DatabaseTooNew, DatabaseUnavailable
from facetag.settings import Settings

MIGRATION_LOCK = 0x666163657461
"""Key of the advisory lock under which migrations run (the bytes of "faceta")."""

CONNECT_TIMEOUT_S = 3
STATEMENT_TIMEOUT_S = 60
LONG_STATEMENT_TIMEOUT_S = 600
LOCK_TIMEOUT_S = 15
IDLE_TRANSACTION_TIMEOUT_S = 300
UNANSWERED_S = 30
"""Time after which a connection ends on which sent bytes are not acknowledged."""

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)

_LOST = ("08", "57P", "53", "25P03", "25P04")
"""SQLSTATEs of a failed connection, of a server that shuts down, or lacks resources, and of one
that ended a transaction for its idle time or its length."""
_BUSY = ("40001", "40P01", "55P03", "57014")
"""SQLSTATEs of transactions that gave way to others; another try may succeed."""
_UNDEFINED_TABLE = "42P01"


APPLICATION = "facetag"
WORKER_APPLICATION = "facetag-worker"
"""Application name of a warm worker's connections in pg_stat_activity, by which it is found."""
SWEEPER_APPLICATION = "facetag-sweeper"
"""Application name of a sweeper's connections."""


def make_engine(
    settings: Settings,
    *,
    pool_size: int = 5,
    application: str = APPLICATION,
    reads_only: bool = False,
) -> Engine:
    """Make an engine on FACETAG_DATABASE_URL; nothing connects before the first use.

    `application` names its connections in pg_stat_activity. With `reads_only`, the engine is for
    `read` alone: it neither checks whether a connection is alive nor opens a transaction. Raises
    SettingsInvalid if the URL is not set.
    """
    ways: dict[str, Any] = (
        {"isolation_level": "AUTOCOMMIT"}
        if reads_only
        # After a restart of the server, connections in the pool are dead.
        else {"pool_pre_ping": True}
    )
    return create_engine(
        _psycopg_url(settings.require("database_url")),
        pool_size=pool_size,
        max_overflow=pool_size,
        # An error helps a caller more than a longer wait for a connection.
        pool_timeout=CONNECT_TIMEOUT_S + 2,
        # An error goes to a log, which must hold no name of a photo or of a person.
        hide_parameters=True,
        **ways,
        connect_args=_connect_args(
            application,
            statement_timeout=STATEMENT_TIMEOUT_S,
            lock_timeout=LOCK_TIMEOUT_S,
            # A client that stops reading must not hold back vacuum for ever.
            idle_in_transaction_session_timeout=IDLE_TRANSACTION_TIMEOUT_S,
        ),
    )


async def asynchronous_connection(settings: Settings) -> psycopg.AsyncConnection:
    """Open a connection of an event loop's own, which commits by itself; raises psycopg.Error."""
    url = _psycopg_url(settings.require("database_url")).set(drivername="postgresql")
    arguments: dict[str, Any] = _connect_args(APPLICATION)
    return await psycopg.AsyncConnection.connect(
        url.render_as_string(hide_password=False), autocommit=True, **arguments
    )


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    """Make the session factory for `transaction`; rows stay readable after the commit."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def transaction(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """Yield a session that commits at the end and rolls back on an exception.

    Raises DatabaseUnavailable if the server does not answer, went away, or was too busy.
    """
    with translate_errors(), sessions() as session, session.begin():
        yield session


def read(sessions: sessionmaker[Session], ask: Callable[[Session], Answer]) -> Answer:
    """Return the answer to one statement, in one round trip to the server.

    `sessions` belong to an engine made with `reads_only`. A transaction and a check of the
    connection would take four round trips. If the connection is lost, the statement is sent once
    more on a new one. Raises DatabaseUnavailable.
    """
    with translate_errors():
        try:
            with sessions() as session:
                return ask(session)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        with sessions() as session:
            return ask(session)


def allow_long_statements(session: Session) -> None:
    """Allow the statements of this transaction ten minutes, for a million rows."""
    session.execute(text(f"SET LOCAL statement_timeout = '{LONG_STATEMENT_TIMEOUT_S}s'"))


def persist(
    sessions: sessionmaker[Session],
    work: Callable[[Session], Answer],
    *,
    give_up: Callable[[], bool],
    on_wait: Callable[[], None] = lambda: None,
) -> Answer:
    """Do `work` in a transaction, and repeat it while the database is unavailable.

    `work` must be idempotent: an attempt may have committed although its answer was lost. Raises
    DatabaseUnavailable once `give_up` returns true.
    """

    def attempt() -> Answer:
        with transaction(sessions) as session:
            return work(session)

    def tell(state: RetryCallState) -> None:
        reason = state.outcome.exception() if state.outcome else None
        log.warning("database_unavailable", reason=str(reason), pause_s=state.upcoming_sleep)
        on_wait()

    retrying = Retrying(
        retry=retry_if_exception_type(DatabaseUnavailable),
        wait=wait_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S),
        stop=lambda _: give_up(),
        before_sleep=tell,
        reraise=True,
    )
    return retrying(attempt)


def ping(engine: Engine) -> None:
    """Check that the database answers; raises DatabaseUnavailable."""
    with translate_errors(), engine.connect() as connection:
        connection.execute(text("SELECT 1"))


def migrate(database_url: str) -> None:
    """Migrate the tables to the newest revision; several callers at once are safe.

    All revisions run in one transaction, under an advisory lock. Raises DatabaseUnavailable, and
    DatabaseTooNew for tables of a later facetag.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(files("facetag_migrations")).replace("%", "%%"))
    config.set_main_option("recursive_version_locations", "true")
    # No statement or lock timeout: a migration may take long, or wait for another one.
    engine = create_engine(
        _psycopg_url(database_url), poolclass=NullPool, connect_args=_connect_args(APPLICATION)
    )
    with translate_errors(), engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        found = MigrationContext.configure(connection).get_current_heads()
        known = {one.revision for one in ScriptDirectory.from_config(config).walk_revisions()}
        if unknown := sorted(set(found) - known):
            raise DatabaseTooNew(
                f"The tables are of revision {', '.join(unknown)}, which a later facetag or "
                "another program made: install that version again, or restore an earlier backup."
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _psycopg_url(url: str) -> URL:
    # Hosting services still write `postgres`, which SQLAlchemy no longer accepts.
    return make_url(url).set(drivername="postgresql+psycopg")


def _connect_args(application: str, **timeouts_s: int) -> dict[str, object]:
    """Return libpq's arguments, by which either end notices within a minute that the other is gone.

    Without them a server keeps the locks of a vanished host for hours, and a client waits a quarter
    of an hour for the answer to what it has sent.
    """
    silence = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    options = {
        "timezone": "UTC",
        **{name: f"{seconds}s" for name, seconds in timeouts_s.items()},
        **{f"tcp_{name}": seconds for name, seconds in silence.items()},
        "tcp_user_timeout": f"{UNANSWERED_S}s",
    }
    return {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": application,
        "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
        "tcp_user_timeout": 1000 * UNANSWERED_S,
        **silence,
    }


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise DatabaseUnavailable if a statement in the body fails because the server is away.

    It is DatabaseBusy if the transaction gave way to others.
    """
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable(
            "Every connection to PostgreSQL is busy: try again, or start more processes."
        ) from error
    # COPY bypasses SQLAlchemy, so its errors are psycopg's.
    except (DBAPIError, psycopg.Error) as error:
        fault = _recognise(error.orig if isinstance(error, DBAPIError) else error)
        if fault is None:
            raise
        raise fault from error


def _recognise(error: BaseException | None) -> DatabaseUnavailable | None:
    """Return the error to raise if the database is at fault, None if we are."""
    sqlstate: str | None = getattr(error, "sqlstate", None)
    if sqlstate == _UNDEFINED_TABLE:
        return DatabaseUnavailable("The database has no facetag tables yet: run `facetag migrate`.")
    if sqlstate in _BUSY:
        return DatabaseBusy(f"PostgreSQL was too busy ({type(error).__name__}): try again.")
    # An error without an answer from the server has no SQLSTATE.
    lost = sqlstate is None and isinstance(error, psycopg.OperationalError)
    if lost or (sqlstate or "").startswith(_LOST):
        return DatabaseUnavailable(
            "PostgreSQL does not answer at FACETAG_DATABASE_URL: check that it runs, and that "
            f"user, password and database are right. ({' '.join(str(error).split())})"
        )
    return None
