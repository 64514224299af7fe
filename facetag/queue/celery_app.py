"""The doorbell: Celery on Redis, which says only that a job has work. Postgres is the truth."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError

from facetag.errors import QueueUnavailable
from facetag.settings import Settings

QUEUE_PREDICT = "predict"
QUEUE_TAG = "tag"
QUEUE_LISTING = QUEUE_TAG
QUEUE_RETRAIN = "retrain"
"""Trainer workers alone listen to it."""

TASK_TAG = "facetag.tag"
"""Drain a job; its one argument is the job's id as a string."""
TASK_LIST = "facetag.list"
"""List the prefix of a job; its one argument is the job's id as a string."""
TASK_RETRAIN = "facetag.retrain"
"""Retrain; its one argument is the retraining's id as a string."""

SOCKET_TIMEOUT_S = 1.0
HANGING_S = 300.0

log = structlog.get_logger(__name__)


def make_celery(settings: Settings) -> Celery:
    """Make the Celery app on FACETAG_REDIS_URL; nothing connects before the first use.

    It knows no task: a worker registers those that it runs, everybody else sends by name.
    """
    app = Celery("facetag", broker=settings.require("redis_url"), set_as_current=False)
    app.conf.update(_queues(), **_messages(), **_publishing(), **_worker(settings))
    return app


def ring(
    celery: Celery, job_id: object, *, images: int, settings: Settings, priority: int = 0
) -> bool:
    """Send one message for each chunk of `images`, at most `max_doorbells`; best effort.

    Returns False, and logs why, where Redis does not take them: the sweeper rings again.
    """
    messages = min(math.ceil(images / settings.chunk_images), settings.max_doorbells)
    queue = QUEUE_PREDICT if priority > 0 else QUEUE_TAG
    return _send(celery, TASK_TAG, str(job_id), queue, messages)


def ring_listing(celery: Celery, job_id: object) -> bool:
    """Send the message to list a job's prefix; best effort, as `ring`."""
    return _send(celery, TASK_LIST, str(job_id), QUEUE_LISTING, 1)


def ring_retraining(celery: Celery, retraining_id: object) -> bool:
    """Send the message that a retraining waits; best effort, as `ring`."""
    return _send(celery, TASK_RETRAIN, str(retraining_id), QUEUE_RETRAIN, 1)


def ping_queue(settings: Settings) -> None:
    """Ask Redis for an answer; raises QueueUnavailable where none comes."""
    with _client(settings) as client:
        client.ping()


def count_doorbells(settings: Settings, queues: Sequence[str] = (QUEUE_PREDICT, QUEUE_TAG)) -> int:
    """Return how many messages nobody has taken yet; raises QueueUnavailable."""
    with _client(settings) as client:
        # Kombu keeps a queue as a list of its name.
        return sum(int(client.llen(queue)) for queue in queues)


@contextmanager
def _client(settings: Settings) -> Iterator[Any]:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client = redis.Redis.from_url(
        # Celery's name for a socket's path, and redis-py's.
        settings.require("redis_url").replace("redis+socket://", "unix://", 1),
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield client
    except redis.RedisError as error:
        raise QueueUnavailable(
            f"Redis does not answer at FACETAG_REDIS_URL: is it running? ({error})"
        ) from error
    finally:
        client.close()


def _send(celery: Celery, task: str, what: str, queue: str, messages: int) -> bool:
    try:
        with celery.producer_or_acquire() as producer:
            for _ in range(messages):
                celery.send_task(task, args=[what], queue=queue, producer=producer)
    except (OperationalError, OSError) as error:
        log.warning("doorbell_unheard", what=what, task=task, reason=str(error))
        return False
    return True


def _queues() -> dict[str, Any]:
    return {
        "task_queues": (Queue(QUEUE_PREDICT), Queue(QUEUE_TAG), Queue(QUEUE_RETRAIN)),
        "task_default_queue": QUEUE_TAG,
        # A mistyped queue must fail, not fill a list in Redis that nobody reads.
        "task_create_missing_queues": False,
    }


def _messages() -> dict[str, Any]:
    return {
        # A pickle in Redis would be code that anybody with access to Redis can run.
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        # Results are rows in Postgres.
        "task_ignore_result": True,
        # A message is only a doorbell: lost with a dying worker, the sweeper rings again; kept
        # unacknowledged, Redis would hand a long drain to a second worker.
        "task_acks_late": False,
    }


def _publishing() -> dict[str, Any]:
    return {
        "broker_transport_options": {
            # The request that rings has committed its job and must not wait for Redis: one try,
            # a second to connect and one for the answer.
            "socket_connect_timeout": SOCKET_TIMEOUT_S,
            "socket_timeout": SOCKET_TIMEOUT_S,
            "max_retries": 0,
            # A firewall that forgets idle connections is noticed by the kernel.
            "socket_keepalive": True,
            # Kombu asks Redis by one BRPOP for all queues, and Redis looks at them in the order
            # given. kombu's default turns that order round after each message; "priority" keeps
            # it as declared, so `predict` goes first.
            "queue_order_strategy": "priority",
        },
        # Retrying would double the wait; the sweeper rings again anyway.
        "task_publish_retry": False,
        # Threads of the API ring at the same time; one that finds no free connection gives up.
        "broker_pool_acquire_timeout": SOCKET_TIMEOUT_S,
    }


def _worker(settings: Settings) -> dict[str, Any]:
    limit_mb = settings.worker_max_memory_mb
    return {
        # A message held back by a busy process is one that an idle one cannot answer.
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        # Redis may start after the worker, and may go away for as long as it likes.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # Concerns late acknowledgement alone, so nothing of ours: a drain goes on while Redis is
        # away. False would have Celery warn at each loss that its default will change.
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        # A drain ends by itself after drain_s and the chunk in hand. What runs far longer hangs,
        # and is killed: its images are claimed by somebody else.
        "task_time_limit": settings.drain_s + HANGING_S,
        # The detector's memory grows with the sizes of photos that it has seen; a process past
        # the limit is replaced between two drains. Celery counts kibibytes.
        "worker_max_memory_per_child": None if limit_mb is None else limit_mb * 1024,
        # Nobody listens to events; each would be one more message in Redis.
        "worker_send_task_events": False,
        "task_send_sent_event": False,
        # facetag.log sets up logging.
        "worker_hijack_root_logger": False,
    }
