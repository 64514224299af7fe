"""Carry doorbells over Redis, where others may have written what is none.

What is no doorbell is dropped and counted.
"""

import base64
import json
import uuid
from typing import Any

import structlog
from celery.app.amqp import AMQP
from kombu import Connection
from kombu.transport import redis

from facetag.queue.doorbell import NOT_A_DOORBELL, read_doorbell
from facetag.queue.rabbitmq import SCHEMES, RabbitTransport

DROPPED = "facetag-dropped-messages"
"""The key in Redis under which dropped messages are counted."""

log = structlog.get_logger(__name__)


class DoorbellChannel(redis.Channel):
    """Read messages, and drop those that are no doorbells, at which Celery would end the worker."""

    def _brpop_read(self, **options: Any) -> bool | None:
        try:
            read: bool | None = super()._brpop_read(**options)
        except NOT_A_DOORBELL as error:
            self._drop(f"{type(error).__name__}: {error}")
            return True
        return read

    def _lookup(self, _exchange: str, routing_key: str, _default: object = None) -> list[str]:
        # kombu would read from Redis, where others may write, which queues a message goes to.
        return [routing_key]

    def _drop(self, reason: str) -> None:
        log.warning("message_dropped", reason=reason[:200])
        with self.conn_or_acquire() as client:
            client.incr(DROPPED)


class DoorbellTransport(redis.Transport):
    """Deliver doorbells without anything that was added to them."""

    Channel = DoorbellChannel

    def _deliver(self, message: Any, queue: str) -> None:
        super()._deliver(purify(message, queue), queue)


class DoorbellConnection(Connection):
    """Connect by our transport: to RabbitMQ if the URL says so, and to Redis otherwise."""

    def get_transport_cls(self) -> type[DoorbellTransport] | type[RabbitTransport]:
        """Return our transport."""
        return RabbitTransport if self.transport_cls in SCHEMES else DoorbellTransport


class DoorbellAMQP(AMQP):
    """Have a Celery app connect by our transport."""

    Connection = DoorbellConnection


def purify(message: Any, queue: str) -> dict[str, Any]:
    """Return the doorbell that a message of Celery's protocol 2 is.

    Raises one of NOT_A_DOORBELL if it has no known task, or not one id.
    """
    said = json.loads(base64.b64decode(message["body"], validate=True))
    task, subject = read_doorbell(message["headers"], said)
    body = json.dumps([[subject], {}, {}])
    number = str(uuid.uuid4())
    return {
        "body": base64.b64encode(body.encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": task, "id": number, "root_id": number},
        "properties": {
            "correlation_id": number,
            "delivery_tag": number,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "body_encoding": "base64",
        },
    }
