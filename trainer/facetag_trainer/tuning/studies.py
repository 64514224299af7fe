"""Open Optuna studies in a PostgreSQL that several machines share.

Studies have a database of their own, since Optuna's version table has the same name as ours.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
import psycopg
import structlog
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from facetag.errors import DatabaseUnavailable, FacetagError, SettingsInvalid

DATABASE = "optuna"
HEARTBEAT_S = 30
GRACE_S = 180
"""A running trial without a heartbeat for so long is dead, and is tried again."""
MOST_RETRIES = 3
"""A trial that dies more often, for example for lack of memory, is not tried again."""
MADE_LOCK, TURN_LOCK = 0x74756E65, 0x7475726E
"""Keys of advisory locks: for making the tables, and for beginning a trial."""
PLAN = "plan"
"""The study's attribute that holds the plan of its trials."""

_log = structlog.get_logger(__name__)


class StudyStorage(RDBStorage):
    """Optuna's storage, whose heartbeats survive a short outage of the server."""

    def record_heartbeat(self, trial_id: int) -> None:
        """Record that a trial is alive; a heartbeat that fails is logged, and others follow."""
        try:
            super().record_heartbeat(trial_id)
        except (SQLAlchemyError, StorageInternalError) as error:
            _log.warning("a heartbeat could not be recorded", trial=trial_id, error=str(error))


def studies_url(database_url: str) -> str:
    """Return the URL of the studies' database on facetag's server; make the database if missing.

    Raises DatabaseUnavailable if the server does not answer, and SettingsInvalid if the user may
    not make the database.
    """
    url = make_url(database_url).set(drivername="postgresql")
    with translated_errors(), psycopg.connect(_text(url), autocommit=True) as link:
        known = link.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
        if known.fetchone() is None:
            try:
                link.execute(f'CREATE DATABASE "{DATABASE}"')
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                # Another machine has just made it.
                _log.debug("the database of studies was made elsewhere")
            except psycopg.errors.InsufficientPrivilege as error:
                raise SettingsInvalid(
                    f"User {url.username} may not create the database {DATABASE!r}: let its "
                    "administrator create it, or give another one with --storage."
                ) from error
    return _text(url.set(drivername="postgresql+psycopg", database=DATABASE))


def open_storage(
    url: str, *, heartbeat_s: int = HEARTBEAT_S, grace_s: int = GRACE_S
) -> StudyStorage:
    """Open the tables of studies, and make them if missing; concurrent callers are safe.

    Raises DatabaseUnavailable if the server does not answer, and SettingsInvalid for a wrong URL.
    """
    try:
        engine = create_engine(url, poolclass=NullPool)
    except ArgumentError as error:
        raise SettingsInvalid(
            "--storage is not a URL: give one such as postgresql+psycopg://..."
        ) from error
    with translated_errors(), _silenced(), _locked(engine, MADE_LOCK):
        return StudyStorage(
            url,
            # A restarted server leaves dead connections in the pool.
            engine_kwargs={"pool_pre_ping": True},
            heartbeat_interval=heartbeat_s,
            grace_period=grace_s,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(MOST_RETRIES),
        )


def open_study(
    storage: StudyStorage,
    name: str,
    plan: Mapping[str, Any],
    *,
    first: Mapping[str, Any],
    startup_trials: int = 5,
) -> Study:
    """Open a study, or begin it with a trial of the values `first`.

    The first trials are drawn at random. The others are drawn by a tree-structured Parzen estimator
    that counts running trials as bad, so that machines do not try the same values. A trial whose
    score is worse than the median of the others after its second epoch is pruned. Raises
    FacetagError if the study has another plan.
    """
    # Optuna would write a line per trial, and a traceback after Ctrl-C.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with translated_errors(), _silenced(), take_turn(storage):
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            sampler=optuna.samplers.TPESampler(n_startup_trials=startup_trials, constant_liar=True),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
            load_if_exists=True,
        )
        stated = study.user_attrs.get(PLAN)
        if stated is None:
            study.set_user_attr(PLAN, dict(plan))
            study.enqueue_trial(dict(first))
        elif stated["digest"] != plan["digest"]:
            raise FacetagError(
                f"The study {name} has another network, budget or data: give another --study."
            )
    return study


def load_study(storage: StudyStorage, name: str) -> Study:
    """Open a study to read it; raises FacetagError if there is none with this name."""
    try:
        with translated_errors():
            return optuna.load_study(storage=storage, study_name=name)
    except KeyError as error:
        raise FacetagError(
            f"There is no study {name} yet: begin it with `facetag tune`."
        ) from error


@contextmanager
def take_turn(storage: StudyStorage) -> Iterator[None]:
    """Hold the lock with which one process at a time begins a trial, while the body runs."""
    with _locked(storage.engine, TURN_LOCK):
        yield


def fail_stale(study: Study) -> None:
    """Mark running trials without a heartbeat as failed, and queue their values again."""
    with _silenced():
        optuna.storages.fail_stale_trials(study)


def queue_again(study: Study, number: int) -> None:
    """Queue the values of an interrupted trial again, for any machine of the study."""
    with _silenced():
        RetryHeartbeatStaleTrialCallback()(study, study.trials[number])


@contextmanager
def _locked(engine: Engine, key: int) -> Iterator[None]:
    if engine.dialect.name != "postgresql":
        # SQLite is used by one process alone.
        yield
        return
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        yield


@contextmanager
def _silenced() -> Iterator[None]:
    with warnings.catch_warnings():
        # Optuna has called heartbeats experimental since 2021.
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise DatabaseUnavailable if the studies' server does not answer or goes away."""
    try:
        yield
    except (psycopg.OperationalError, DBAPIError, StorageInternalError) as error:
        wrapped = error.__cause__ if isinstance(error, StorageInternalError) else error
        cause = wrapped.orig if isinstance(wrapped, DBAPIError) else wrapped
        if not isinstance(cause, psycopg.OperationalError):
            raise
        raise DatabaseUnavailable(
            "The PostgreSQL of the studies does not answer: is it running, and are user, password "
            f"and database right? ({' '.join(str(cause).split())})"
        ) from error


def _text(url: Any) -> str:
    rendered: str = url.render_as_string(hide_password=False)
    return rendered
