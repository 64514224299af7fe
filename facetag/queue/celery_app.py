"""Ring the doorbell: Celery messages on Redis, RabbitMQ or SQS say only that a job has work."""

import math
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError

from facetag.errors import QueueUnavailable
from facetag.queue import rabbitmq
from facetag.queue.broker_kind import BrokerKind, broker_of
from facetag.queue.doorbell_transport import DROPPED, DoorbellAMQP
from facetag.queue.task_names import TASK_ESTIMATE, TASK_LIST, TASK_RETRAIN, TASK_TAG
from facetag.settings import Settings

QUEUE_PREDICT = "predict"
QUEUE_TAG = "tag"
QUEUE_LISTING = QUEUE_TAG
QUEUE_RETRAIN = "retrain"
"""Queue that only trainer workers listen to."""

SOCKET_TIMEOUT_S = 1.0
HANGING_S = 300.0

log = structlog.get_logger(__name__)


def make_celery(settings: Settings) -> Celery:
    """Make the Celery app on FACETAG_REDIS_URL; nothing connects before the first use.

    The app has no tasks: workers register those that they run, senders use the names above.
    """
    app = Doorbell(
        "facetag",
        broker=settings.require("redis_url"),
        # Each of these keeps Celery from looking into the environment: its loader, Django, and the
        # module that CELERY_CONFIG_MODULE names.
        loader="app",
        fixups=[],
        config_source=_queues()
        | _messages()
        | _publishing(settings)
        | _encryption(settings)
        | _worker(settings),
        set_as_current=False,
    )
    app.broker = settings.require("redis_url")
    return app


class Doorbell(Celery):
    """Celery on FACETAG_REDIS_URL alone, where Celery would prefer its own variables.

    CELERY_BROKER_URL and CELERY_RESULT_BACKEND overrule what an app is configured with.
    """

    broker: str
    backend_cls = "disabled"
    amqp_cls = DoorbellAMQP

    def connection_for_read(self, url: str | None = None, **options: Any) -> Any:
        """Return a connection that consumes, to our broker unless a URL is given."""
        return super().connection_for_read(url or self.broker, **options)

    def connection_for_write(self, url: str | None = None, **options: Any) -> Any:
        """Return a connection that produces, to our broker unless a URL is given."""
        return super().connection_for_write(url or self.broker, **options)


def ring(
    celery: Celery, job_id: object, *, images: int, settings: Settings, priority: int = 0
) -> bool:
    """Send one message per chunk of `images`, at most `max_doorbells`.

    Returns False, and logs why, if the broker does not take them: the sweeper rings again.
    """
    messages = min(math.ceil(images / settings.chunk_images), settings.max_doorbells)
    queue = QUEUE_PREDICT if priority > 0 else QUEUE_TAG
    return _send(celery, TASK_TAG, str(job_id), queue, messages)


def ring_listing(celery: Celery, job_id: object) -> bool:
    """Send the message to list a job's prefix; see `ring`."""
    return _send(celery, TASK_LIST, str(job_id), QUEUE_LISTING, 1)


def ring_estimate(celery: Celery, job_id: object) -> bool:
    """Send the message that a job's shares are wanted; see `ring`."""
    return _send(celery, TASK_ESTIMATE, str(job_id), QUEUE_TAG, 1)


def ring_retraining(celery: Celery, retraining_id: object) -> bool:
    """Send the message that a retraining waits; see `ring`."""
    return _send(celery, TASK_RETRAIN, str(retraining_id), QUEUE_RETRAIN, 1)


def ping_queue(settings: Settings) -> None:
    """Check that the broker answers; raises QueueUnavailable."""
    url = settings.require("redis_url")
    match broker_of(url):
        case BrokerKind.RABBITMQ:
            rabbitmq.ping_rabbitmq(url, timeout_s=SOCKET_TIMEOUT_S)
        case BrokerKind.SQS:
            from facetag.queue import sqs

            sqs.ping_sqs(url, _sqs_options(settings))
        case BrokerKind.REDIS:
            with _client(settings) as client:
                client.ping()


def count_doorbells(settings: Settings, queues: Sequence[str] = (QUEUE_PREDICT, QUEUE_TAG)) -> int:
    """Return the number of waiting messages; raises QueueUnavailable."""
    url = settings.require("redis_url")
    match broker_of(url):
        case BrokerKind.RABBITMQ:
            return rabbitmq.count_messages(url, queues, timeout_s=SOCKET_TIMEOUT_S)
        case BrokerKind.SQS:
            from facetag.queue import sqs

            return sqs.count_messages(url, queues, _sqs_options(settings))
    with _client(settings) as client:
        # Kombu keeps a queue as a Redis list of the same name.
        return sum(int(client.llen(queue)) for queue in queues)


def count_dropped(settings: Settings) -> int:
    """Return how many messages were dropped because they were no doorbells, since Redis last lost
    its data; raises QueueUnavailable. Other brokers have no place to count them: they are logged.
    """
    if broker_of(settings.require("redis_url")) is not BrokerKind.REDIS:
        return 0
    with _client(settings) as client:
        return int(client.get(DROPPED) or 0)


@contextmanager
def _client(settings: Settings) -> Iterator[Any]:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client = redis.Redis.from_url(
        # Celery and redis-py write the URL of a socket differently.
        settings.require("redis_url").replace("redis+socket://", "unix://", 1),
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield client
    except redis.RedisError as error:
        raise QueueUnavailable(
            f"Redis does not answer at FACETAG_REDIS_URL: check that it runs. ({error})"
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
        # A mistyped queue name must fail, not fill a list in Redis that nobody reads.
        "task_create_missing_queues": False,
    }


def _messages() -> dict[str, Any]:
    return {
        # With pickles, anybody with access to Redis could run code here.
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        # Results are stored in Postgres.
        "task_ignore_result": True,
        # Acknowledged early: if a worker dies, the sweeper rings again. Unacknowledged, Redis would
        # hand a long drain to a second worker.
        "task_acks_late": False,
    }


def _publishing(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {
        # A retry would double the wait, and the sweeper rings again anyway.
        "task_publish_retry": False,
        # If many threads of the API ring at once, one without a free connection gives up.
        "broker_pool_acquire_timeout": SOCKET_TIMEOUT_S,
    }
    match broker_of(settings.require("redis_url")):
        case BrokerKind.RABBITMQ:
            # As on Redis below.
            return options | {
                "broker_connection_timeout": SOCKET_TIMEOUT_S,
                "broker_transport_options": {"max_retries": 0, "write_timeout": SOCKET_TIMEOUT_S},
            }
        case BrokerKind.SQS:
            return options | {"broker_transport_options": _sqs_options(settings)}
    return options | {"broker_transport_options": _redis_options()}


def _sqs_options(settings: Settings) -> dict[str, Any]:
    from facetag.queue.sqs import transport_options

    return transport_options(
        settings.require("redis_url"), region=settings.s3_region, timeout_s=SOCKET_TIMEOUT_S
    )


def _redis_options() -> dict[str, Any]:
    return {
        # Without it, messages would wait in Redis to be acknowledged, where others may write
        # what no worker can read. A lost doorbell is rung again.
        "ack_emulation": False,
        # A request that has committed its job must not wait for Redis: one try, with one
        # second to connect and one for the answer.
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
        "socket_timeout": SOCKET_TIMEOUT_S,
        "max_retries": 0,
        # The kernel notices if a firewall drops an idle connection.
        "socket_keepalive": True,
        # Kombu reads all queues by one BRPOP, and Redis looks at them in the order given. By
        # default kombu rotates that order after each message; "priority" keeps it, so
        # `predict` always comes first.
        "queue_order_strategy": "priority",
    }


def _encryption(settings: Settings) -> dict[str, Any]:
    if not settings.require("redis_url").startswith(("rediss:", "amqps:")):
        return {}
    # By default Celery takes any certificate.
    return {"broker_use_ssl": {"ssl_cert_reqs": ssl.CERT_REQUIRED}}


def _worker(settings: Settings) -> dict[str, Any]:
    limit_mb = settings.worker_max_memory_mb
    return {
        # A busy process must not hold back messages that an idle one could take.
        "worker_prefetch_multiplier": 1,
        # Celery knows this of Redis alone.
        "worker_disable_prefetch": broker_of(settings.require("redis_url")) is BrokerKind.REDIS,
        # Redis may start after the worker and may be away for any time.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # This concerns late acknowledgement, which we do not use: a drain goes on while Redis is
        # away. With False, Celery would warn at each lost connection about its future default.
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        # A drain ends after drain_s and the present chunk. If it runs far longer it hangs and is
        # killed, and another worker claims its images.
        "task_time_limit": settings.drain_s + HANGING_S,
        # The detector's memory grows with the variety of photo sizes. A process past the limit is
        # replaced between two drains. Celery counts in kibibytes.
        "worker_max_memory_per_child": None if limit_mb is None else limit_mb * 1024,
        # Nobody reads Celery's events, and each would be another message in Redis.
        "worker_send_task_events": False,
        "task_send_sent_event": False,
        # facetag.log sets up logging.
        "worker_hijack_root_logger": False,
    }
