"""Check whether database, queue and storage answer, and whether a worker is connected."""

from collections.abc import Callable
from concurrent.futures import Future

import structlog
from sqlalchemy import text

from facetag.db.engine import WORKER_APPLICATION, ping, transaction
from facetag.errors import FacetagError
from facetag.queue.celery_app import ping_queue
from facetag_api.dependencies import Services
from facetag_api.problems import public_detail

CHECK_TIMEOUT_S = 5.0
OK = "ok"
NONE_SEEN = "none seen"

log = structlog.get_logger(__name__)


def check_parts(services: Services) -> dict[str, str]:
    """Return `ok` or what is wrong for database, queue, storage and worker, within seconds."""
    checks: dict[str, Callable[[], str | None]] = {
        "database": lambda: ping(services.engine),
        "queue": lambda: ping_queue(services.settings),
        "storage": services.storage.ping,
        "worker": lambda: None if worker_is_seen(services) else NONE_SEEN,
    }
    running = {part: services.checks.submit(check) for part, check in checks.items()}
    return {part: _outcome(part, future) for part, future in running.items()}


def worker_is_seen(services: Services) -> bool:
    """Return whether a warm worker is connected, busy or idle.

    A worker's database connection has a name of its own and ends with the worker. Raises
    DatabaseUnavailable.
    """
    query = text(
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = :name)"
    )
    with transaction(services.sessions) as session:
        return bool(session.scalar(query, {"name": WORKER_APPLICATION}))


def _outcome(part: str, future: "Future[str | None]") -> str:
    try:
        return future.result(CHECK_TIMEOUT_S) or OK
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except FacetagError as error:
        # Without the database no worker can be seen; its own entry says what is wrong with it.
        return NONE_SEEN if part == "worker" else public_detail(error)
    except Exception:
        log.exception("check_failed", part=part)
        return "the check failed: see the log"
