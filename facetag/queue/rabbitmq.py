"""Carry doorbells over RabbitMQ, for those who run it already instead of Redis.

Messages that are no doorbells are dropped, as on Redis; they are not counted.
"""

import json
import sys
from collections.abc import Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from kombu import Connection
from kombu.transport import pyamqp

from facetag.errors import QueueUnavailable
from facetag.queue.doorbell import NOT_A_DOORBELL, read_doorbell

if TYPE_CHECKING:
    from collections.abc import Iterator

log = structlog.get_logger(__name__)


class RabbitChannel(pyamqp.Channel):
    """Read messages, and have Celery drop those that are no doorbells."""

    def message_to_python(self, raw_message: Any) -> Any:
        """Return the doorbell alone, or a message with the error for which Celery drops it."""
        message = super().message_to_python(raw_message)
        try:
            task, subject = read_doorbell(message.headers, json.loads(message.body))
        except NOT_A_DOORBELL as error:
            log.warning("message_dropped", reason=f"{type(error).__name__}: {error}"[:200])
            message.errors.append(sys.exc_info())
            return message
        number = str(message.delivery_tag)
        message.headers = {"lang": "py", "task": task, "id": number, "root_id": number}
        message.properties = {"correlation_id": number}
        message.content_type, message.content_encoding = "application/json", "utf-8"
        message.body = json.dumps([[subject], {}, {}])
        return message


class RabbitConnection(pyamqp.Connection):
    """Connect with our channels."""

    Channel = RabbitChannel


class RabbitTransport(pyamqp.Transport):
    """Deliver doorbells without anything that was added to them."""

    Connection = RabbitConnection


def ping_rabbitmq(url: str, *, timeout_s: float) -> None:
    """Check that RabbitMQ answers; raises QueueUnavailable."""
    with _connected(url, timeout_s):
        pass


def count_messages(url: str, queues: Sequence[str], *, timeout_s: float) -> int:
    """Return how many messages wait in these queues; raises QueueUnavailable."""
    with _connected(url, timeout_s) as connection:
        return sum(_count(connection, queue) for queue in queues)


def _count(connection: Connection, queue: str) -> int:
    # A channel ends with the error of a queue that nobody has declared yet.
    channel = connection.channel()
    try:
        return int(channel.queue_declare(queue, passive=True).message_count)
    except connection.channel_errors:
        return 0


@contextmanager
def _connected(url: str, timeout_s: float) -> "Iterator[Connection]":
    connection = Connection(
        url,
        connect_timeout=timeout_s,
        transport_options={"read_timeout": timeout_s, "write_timeout": timeout_s},
    )
    with closing(connection):
        try:
            connection.connect()
            yield connection
        except connection.connection_errors as error:
            raise QueueUnavailable(
                f"RabbitMQ does not answer at FACETAG_REDIS_URL: check that it runs. ({error})"
            ) from error
