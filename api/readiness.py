"""Whether the parts that a request needs answer, and whether a worker listens for the doorbell."""

from collections.abc import Callable
from concurrent.futures import Future

import structlog

from api.dependencies import Services
from api.problems import public_detail
from facetag.database import ping
from facetag.errors import FacetagError, QueueUnavailable
from facetag.queue import SOCKET_TIMEOUT_S, ping_queue
from facetag.settings import Settings

CHECK_TIMEOUT_S = 5.0
OK = "ok"
NONE_SEEN = "none seen"

log = structlog.get_logger(__name__)


def check_parts(services: Services) -> dict[str, str]:
    """Return for database, queue, storage and worker `ok` or what is wrong; within seconds."""
    checks: dict[str, Callable[[], str | None]] = {
        "database": lambda: ping(services.engine),
        "queue": lambda: ping_queue(services.settings),
        "storage": services.storage.ping,
        "worker": lambda: None if worker_listens(services.settings) else NONE_SEEN,
    }
    running = {part: services.checks.submit(check) for part, check in checks.items()}
    return {part: _outcome(part, future) for part, future in running.items()}


def worker_listens(settings: Settings) -> bool:
    """Tell whether anybody waits on Redis, as workers do once their network is warm.

    A waiting Celery worker blocks on its queues and subscribes to its control channel; what rings
    does neither. Raises QueueUnavailable.
    """
    import redis

    url = settings.require("redis_url").replace("redis+socket://", "unix://", 1)
    client = redis.Redis.from_url(
        url, socket_timeout=SOCKET_TIMEOUT_S, socket_connect_timeout=SOCKET_TIMEOUT_S
    )
    try:
        return any(_is_worker(entry) for entry in client.client_list())
    except redis.RedisError as error:
        raise QueueUnavailable("Redis does not answer at FACETAG_REDIS_URL.") from error
    finally:
        client.close()


def _is_worker(entry: dict[str, str]) -> bool:
    subscribed = entry.get("sub", "0") != "0" or entry.get("psub", "0") != "0"
    return subscribed or entry.get("cmd") == "brpop"


def _outcome(part: str, future: "Future[str | None]") -> str:
    try:
        return future.result(CHECK_TIMEOUT_S) or OK
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except QueueUnavailable as error:
        return NONE_SEEN if part == "worker" else public_detail(error)
    except FacetagError as error:
        return public_detail(error)
    except Exception:
        log.exception("check failed", part=part)
        return "the check failed: the log says why"
