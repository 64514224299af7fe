"""Write tables anew after deletions, since Postgres leaves the bytes of deleted rows in files."""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from psycopg.errors import InsufficientPrivilege, LockNotAvailable
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from facetag.db.engine import transaction, translate_errors
from facetag.db.presence import SWEEPER_LOCK
from facetag.disk_space import require_database_space
from facetag.errors import DatabaseUnavailable, DiskFull

STATISTICS = "pg_catalog.pg_statistic"
"""The planner's samples hold names and keys, too; only the database's owner may write it anew."""
TABLES = (
    "jobs",
    "images",
    "faces",
    "reviews",
    "count_changes",
    "tombstones",
    "upload_promises",
    STATISTICS,
)
"""The statistics come last, as each table before is looked at anew."""
REST = timedelta(hours=1)
"""The least time between two turns: each locks the tables, one by one."""
REST_PER_TURN = 100
"""A rest is at least so many times as long as the turn before, during which jobs stood still."""
PATIENCE = timedelta(minutes=30)
"""How long after a deletion a turn waits for open jobs to end, so that none stands still for it."""
LONGEST_REST = timedelta(days=1)
"""The time between two turns where predictions alone were deleted, of which no audit line tells."""
OVERDUE = timedelta(days=1)
"""The time after which an operator is told that a turn does not succeed, as for want of space."""
LOCK_TIMEOUT_S = 2
"""Whoever needs a table waits behind us meanwhile, so a table in use is left after this time."""
IN_USE_REST_S = 60.0
"""The rest after such a try."""
SNAPSHOT_PATIENCE_S = 2.0
"""The wait for transactions that began before the rows were deleted; they hold nobody up."""
SORT_MEMORY = "256MB"
"""Memory in which PostgreSQL builds indexes: its own choice of 64 MB takes longer."""

_UNCOVERED = """
    FROM audit_lines, (
        SELECT coalesce(max(ended_at), '-infinity') AS at
        FROM program_rounds WHERE name = 'rewriting'
    ) AS covered
    WHERE action IN ('job deleted', 'objects erased', 'photos purged', 'photos forgotten')
        AND created_at >= covered.at
"""
IS_DUE = text(f"""
    SELECT min(created_at) < now() - :patience
        OR NOT EXISTS (SELECT FROM jobs WHERE finished_at IS NULL OR deleted_at IS NOT NULL)
            AND NOT EXISTS (SELECT FROM tombstones)
    {_UNCOVERED} AND covered.at < now() - :rest
    HAVING count(*) > 0
""")  # noqa: S608 - built from a constant
IS_OVERDUE = text(f"SELECT min(created_at) < now() - :overdue {_UNCOVERED}")

DELETIONS = text("SELECT pg_stat_get_tuples_deleted(CAST('images' AS regclass))")
IS_LONG_AGO = text("""
    SELECT coalesce(max(ended_at), '-infinity') < now() - :longest
    FROM program_rounds WHERE name = 'rewriting'
""")

COVERS = text("""
    SELECT least(
        now(),
        (SELECT min(deleted_at) FROM jobs),
        (SELECT min(xact_start) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()))
""")
"""Deletions of which lines are older than this time have come to their end."""

NEXT_TRANSACTION = text("SELECT CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text)")

IS_SEEN = text("""
    SELECT EXISTS (
        SELECT FROM pg_stat_activity
        WHERE (datname = current_database() OR datname IS NULL) AND pid <> pg_backend_pid()
            AND greatest(age(backend_xid), age(backend_xmin))
                > age(CAST(CAST(CAST(:transaction AS text) AS xid8) AS xid)))
""")
"""Rows that a transaction may still see would be copied: those that were deleted by a transaction
not older than its oldest one (`backend_xmin`), which may have ended long ago."""

SIZE = text("SELECT pg_total_relation_size(CAST(:table AS regclass))")
HOLD = text("SELECT pg_try_advisory_lock(:key)")

# Images that a worker or the sweeper has locked are being given a new lease, or finished.
GIVE_TIME_BACK = text("""
    WITH held AS (
        SELECT id FROM images WHERE state = 'running' ORDER BY id FOR UPDATE SKIP LOCKED
    )
    UPDATE images SET lease_until = lease_until + :taken FROM held WHERE images.id = held.id
""")

# PostgreSQL keeps notifications, which name jobs, in pages of 8 kB and files of 32 pages, until all
# have been heard and so many others came after them.
FILL_NOTIFICATIONS = text("""
    SELECT pg_notify('facetag_filler', rpad(CAST(number AS text), 7900, '.'))
    FROM generate_series(1, 96) AS number
""")

RECORD = text("""
    INSERT INTO program_rounds (name, ended_at) VALUES ('rewriting', :covers)
    ON CONFLICT (name) DO UPDATE SET ended_at = excluded.ended_at
""")

log = structlog.get_logger(__name__)


@dataclass
class _Turn:
    """One time through all tables; it may take several of the sweeper's rounds."""

    covers: datetime
    """Of deletions before this time, nothing is left after the turn."""
    transaction: str
    """The first transaction that cannot have deleted any of those rows."""
    deletions: int
    """The number of images that were ever deleted, as far as PostgreSQL's statistics know."""
    left: list[str] = field(default_factory=lambda: list(TABLES))
    taken_s: float = 0.0
    """Seconds for which tables were locked."""


class TableRewriting:
    """Write tables anew once rows were deleted: at once, or after PATIENCE while jobs are open.

    Jobs stand still while a table is written, so turns keep their distance: REST, and REST_PER_TURN
    times the time that the last turn took. A failure, such as for want of space, ends a turn, too.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._turn: _Turn | None = None
        self._deletions = 0
        self._rests_until_s = 0.0

    def step(self, sessions: sessionmaker[Session]) -> bool:
        """Go on as far as possible now; return whether a turn was ended."""
        if time.monotonic() < self._rests_until_s:
            return False
        try:
            self._turn = self._turn or _begin(sessions, self._deletions)
            if self._turn is None or not self._go_on(sessions.kw["bind"], self._turn):
                return False
            with transaction(sessions) as session:
                session.execute(RECORD, {"covers": self._turn.covers})
        except (DatabaseUnavailable, DiskFull) as error:
            log.warning("rewriting_put_off", reason=str(error))
            self._rest(REST.total_seconds())
            return False
        log.info("tables_rewritten", locked_s=round(self._turn.taken_s, 1))
        self._rest(max(REST.total_seconds(), REST_PER_TURN * self._turn.taken_s))
        self._deletions = self._turn.deletions
        self._turn = None
        return True

    def _rest(self, seconds: float) -> None:
        self._rests_until_s = time.monotonic() + seconds

    def _go_on(self, engine: Engine, turn: _Turn) -> bool:
        """Write the tables that are left; return False if others read or are at work on one."""
        with (
            translate_errors(),
            engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            try:
                # Another sweeper would take images from workers that cannot extend their leases.
                if not connection.scalar(HOLD, {"key": SWEEPER_LOCK}):
                    return False
                connection.execute(text("SET statement_timeout = 0"))
                connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'"))
                connection.execute(text(f"SET maintenance_work_mem = '{SORT_MEMORY}'"))
                return self._rewrite(connection, turn) and _end_logs(connection)
            except DBAPIError as error:
                if not isinstance(error.orig, LockNotAvailable):
                    raise
                self._rest(IN_USE_REST_S)
                return False
            finally:
                # Its limits and its lock must not come back to the pool.
                connection.invalidate()

    def _rewrite(self, connection: Connection, turn: _Turn) -> bool:
        taken_s = 0.0
        try:
            while turn.left:
                table = turn.left[0]
                if not _is_past(connection, turn.transaction):
                    return False
                size = connection.execute(SIZE, {"table": table}).scalar_one()
                require_database_space(self._data_dir, size)
                taken_s += _write_anew(connection, table)
                del turn.left[0]
                if turn.left == [STATISTICS]:
                    # What was sampled before was replaced just now.
                    turn.transaction = connection.execute(NEXT_TRANSACTION).scalar_one()
            return True
        finally:
            if taken_s:
                turn.taken_s += taken_s
                connection.execute(GIVE_TIME_BACK, {"taken": timedelta(seconds=taken_s)})


def is_overdue(session: Session) -> bool:
    """Return whether rows that were deleted more than OVERDUE ago may still be in the files."""
    return bool(session.scalar(IS_OVERDUE, {"overdue": OVERDUE}))


def _begin(sessions: sessionmaker[Session], known_deletions: int) -> _Turn | None:
    with transaction(sessions) as session:
        deletions = session.execute(DELETIONS).scalar_one()
        if not session.scalar(IS_DUE, {"rest": REST, "patience": PATIENCE}) and (
            deletions == known_deletions
            or not session.scalar(IS_LONG_AGO, {"longest": LONGEST_REST})
        ):
            return None
        # In this order: whoever begins in between deletes what the next turn covers.
        covers = session.execute(COVERS).scalar_one()
        following = session.execute(NEXT_TRANSACTION).scalar_one()
        return _Turn(covers, following, deletions)


def _is_past(connection: Connection, number: str) -> bool:
    """Wait a little until no transaction sees what was deleted before this one; return whether."""
    until_s = time.monotonic() + SNAPSHOT_PATIENCE_S
    while connection.scalar(IS_SEEN, {"transaction": number}):
        if time.monotonic() >= until_s:
            return False
        time.sleep(0.05)
    return True


def _write_anew(connection: Connection, table: str) -> float:
    """Return the seconds for which the table may have been locked."""
    began_s = time.monotonic()
    connection.execute(text(f"VACUUM FULL {table}"))
    taken_s = time.monotonic() - began_s
    if table != STATISTICS:
        connection.execute(text(f"ANALYZE {table}"))
    return taken_s


def _end_logs(connection: Connection) -> bool:
    """End the write-ahead log and the notifications so far, so that their files go.

    The log's files go with the checkpoint where Postgres does not reuse them (`wal_recycle`), and
    where our role may ask for one: both is so on the server of `facetag up`.
    """
    # The second fill moves the end of the first on, once all have heard it.
    for step in (FILL_NOTIFICATIONS, FILL_NOTIFICATIONS):
        connection.execute(step)
    for statement in ("SELECT pg_switch_wal()", "CHECKPOINT"):
        try:
            connection.execute(text(statement))
        except DBAPIError as error:
            if not isinstance(error.orig, InsufficientPrivilege):
                raise
    return True
