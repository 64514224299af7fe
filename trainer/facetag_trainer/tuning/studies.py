"""Where tuning keeps its trials: Optuna studies in a PostgreSQL that several machines share.

Studies have a database of their own, since Optuna's table of its schema's version has the name of
ours.
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
"""A running trial that was silent for so long is dead, and tried again."""
MOST_RETRIES = 3
"""A trial that dies more often, as for want of memory, is left."""
MADE_LOCK, TURN_LOCK = 0x74756E65, 0x7475726E
"""Keys of advisory locks: one makes the tables at a time, and one begins a trial at a time."""
PLAN = "plan"
"""The study's attribute that says what its trials fit."""

_log = structlog.get_logger(__name__)


class StudyStorage(RDBStorage):
    """Optuna's storage, whose heart goes on beating where the server was away for a moment."""

    def record_heartbeat(self, trial_id: int) -> None:
        """Say that a trial lives; a beat that cannot be recorded is followed by others."""
        try:
            super().record_heartbeat(trial_id)
        except (SQLAlchemyError, StorageInternalError) as error:
            _log.warning("a heartbeat could not be recorded", trial=trial_id, error=str(error))


def studies_url(database_url: str) -> str:
    """Return the URL of the studies' database on facetag's server; makes it if it is not there.

    Raises DatabaseUnavailable where the server does not answer, and SettingsInvalid for a user who
    may not make it.
    """
    url = make_url(database_url).set(drivername="postgresql")
    with translated_errors(), psycopg.connect(_text(url), autocommit=True) as link:
        known = link.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
        if known.fetchone() is None:
            try:
                link.execute(f'CREATE DATABASE "{DATABASE}"')
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                # Another machine made it since we looked.
                _log.debug("the database of studies was made elsewhere")
            except psycopg.errors.InsufficientPrivilege as error:
                raise SettingsInvalid(
                    f"{url.username} may not make the database {DATABASE!r}: have it made, or give "
                    "another with --storage."
                ) from error
    return _text(url.set(drivername="postgresql+psycopg", database=DATABASE))


def open_storage(
    url: str, *, heartbeat_s: int = HEARTBEAT_S, grace_s: int = GRACE_S
) -> StudyStorage:
    """Open, and if need be make, the tables of studies; several callers at once are safe.

    Raises DatabaseUnavailable where the server does not answer, and SettingsInvalid for a URL that
    is none.
    """
    try:
        engine = create_engine(url, poolclass=NullPool)
    except ArgumentError as error:
        raise SettingsInvalid("--storage is no URL: give postgresql+psycopg://...") from error
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

    The first trials are drawn at random, then by a tree-structured Parzen estimator that takes what
    runs elsewhere for bad, so that machines do not try the same. A trial whose score is worse than
    the median of the others' after its second epoch is pruned. Raises FacetagError where the study
    is of another plan.
    """
    # It would write a line a trial, and a traceback for Ctrl-C.
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
                f"The study {name} is of another network, budget or data: give another --study."
            )
    return study


def load_study(storage: StudyStorage, name: str) -> Study:
    """Open a study to read it; raises FacetagError where there is none of this name."""
    try:
        with translated_errors():
            return optuna.load_study(storage=storage, study_name=name)
    except KeyError as error:
        raise FacetagError(
            f"There is no study {name} yet: begin it with `facetag tune`."
        ) from error


@contextmanager
def take_turn(storage: StudyStorage) -> Iterator[None]:
    """Let one process at a time, of all that share a PostgreSQL, do what the body does."""
    with _locked(storage.engine, TURN_LOCK):
        yield


def fail_stale(study: Study) -> None:
    """Mark running trials without a heartbeat as failed, and queue their values again."""
    with _silenced():
        optuna.storages.fail_stale_trials(study)


def queue_again(study: Study, number: int) -> None:
    """Queue the values of a trial that was interrupted for whoever goes on with the study."""
    with _silenced():
        RetryHeartbeatStaleTrialCallback()(study, study.trials[number])


@contextmanager
def _locked(engine: Engine, key: int) -> Iterator[None]:
    if engine.dialect.name != "postgresql":
        # SQLite is for one process.
        yield
        return
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        yield


@contextmanager
def _silenced() -> Iterator[None]:
    with warnings.catch_warnings():
        # Heartbeats are experimental by name since 2021.
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise DatabaseUnavailable where the studies' server does not answer or went away."""
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
