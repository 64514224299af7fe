"""Check whether the parts of the service answer, work and have room."""

import time
from collections.abc import Callable
from concurrent.futures import Future

import structlog
from sqlalchemy import text

from facetag.db.engine import WORKER_APPLICATION, ping, transaction
from facetag.db.presence import QUIET_S, seconds_since_heard, seconds_since_round
from facetag.disk_space import find_full_storage
from facetag.erasure.freed_rows import is_overdue
from facetag.errors import FacetagError
from facetag.jobs.queries import HAS_CLAIMABLE
from facetag.queue.celery_app import ping_queue
from facetag_api.dependencies import Services
from facetag_api.problems import public_detail

CHECK_TIMEOUT_S = 5.0
OK = "ok"
NONE_SEEN = "none seen"
STALLED_S = 60.0
"""How long images may wait, while no worker holds any, until workers count as stalled."""
UNDELETED_S = 600.0
"""How long an object that must go may be there."""

IS_STALLED = text(f"""
    SELECT NOT EXISTS (SELECT FROM images WHERE state = 'running' AND lease_until > now())
        AND EXISTS (
            SELECT FROM jobs
            WHERE finished_at IS NULL AND state IN ('queued', 'running') AND queued > 0
              AND coalesce(started_at, created_at) < now() - make_interval(secs => :stalled_s)
              AND {HAS_CLAIMABLE})
""")  # noqa: S608 - built from a constant

log = structlog.get_logger(__name__)


def check_parts(services: Services) -> dict[str, str]:
    """Return `ok` or what is wrong for each part of the service, within seconds."""
    checks: dict[str, Callable[[], str | None]] = {
        "database": lambda: ping(services.engine),
        "queue": lambda: ping_queue(services.settings),
        "storage": services.storage.ping,
        "disk": lambda: _look_at_disk(services),
        "worker": lambda: _look_at_workers(services),
        "sweeper": lambda: _look_at_sweeper(services),
        "erasure": lambda: _look_at_erasure(services),
    }
    running = {part: services.checks.submit(check) for part, check in checks.items()}
    deadline_s = time.monotonic() + CHECK_TIMEOUT_S
    return {part: _outcome(part, future, deadline_s) for part, future in running.items()}


def worker_is_seen(services: Services) -> bool:
    """Return whether a warm worker is connected, busy or idle.

    A worker's database connection has a name of its own and ends with the worker. Raises
    DatabaseUnavailable.
    """
    with transaction(services.sessions) as session:
        return seconds_since_heard(session, WORKER_APPLICATION) is not None


def _look_at_disk(services: Services) -> str | None:
    full = find_full_storage(services.settings.data_dir, 0)
    return None if full is None else str(full)


def _look_at_workers(services: Services) -> str | None:
    if not worker_is_seen(services):
        return NONE_SEEN
    with transaction(services.sessions) as session:
        stalled = session.scalar(IS_STALLED, {"stalled_s": STALLED_S})
    return f"stalled: images wait for {STALLED_S:g} s and none is worked on" if stalled else None


def _look_at_sweeper(services: Services) -> str | None:
    with transaction(services.sessions) as session:
        silent_s = seconds_since_round(session)
    if silent_s is None:
        return NONE_SEEN
    return f"silent for {silent_s:.0f} s" if silent_s > QUIET_S else None


def _look_at_erasure(services: Services) -> str | None:
    query = text(
        "SELECT count(*), extract(epoch FROM now() - min(since)) FROM ("
        " SELECT created_at AS since FROM tombstones"
        " UNION ALL SELECT deleted_at FROM jobs WHERE deleted_at IS NOT NULL) AS waiting"
        " WHERE since < now() - make_interval(secs => :undeleted_s)"
    )
    with transaction(services.sessions) as session:
        waiting, oldest_s = session.execute(query, {"undeleted_s": UNDELETED_S}).one()
        overdue = is_overdue(session)
    if not waiting:
        return "deleted rows are still in files: see the sweeper's log" if overdue else None
    return f"{waiting} objects or jobs are to be deleted, the oldest for {oldest_s:.0f} s"


def _outcome(part: str, future: "Future[str | None]", deadline_s: float) -> str:
    try:
        return future.result(max(0.0, deadline_s - time.monotonic())) or OK
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except FacetagError as error:
        # Without the database neither can be seen; its own entry says what is wrong with it.
        return NONE_SEEN if part in ("worker", "sweeper", "erasure") else public_detail(error)
    except Exception:
        log.exception("check_failed", part=part)
        return "the check failed: see the log"
