"""Carry doorbells over Redis, where others may have written what is none.

What is no doorbell is dropped and counted.
"""

from typing import Any

import structlog
from celery.app.amqp import AMQP
from kombu import Connection
from kombu.transport import redis

from facetag.queue.broker_kind import BrokerKind, broker_of
from facetag.queue.doorbell import NOT_A_DOORBELL, purify
from facetag.queue.rabbitmq import RabbitTransport

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
    """Connect by our transport for the broker that the URL names."""

    def get_transport_cls(self) -> Any:
        """Return our transport; botocore is imported for SQS alone."""
        match broker_of(self.transport_cls):
            case BrokerKind.RABBITMQ:
                return RabbitTransport
            case BrokerKind.SQS:
                from facetag.queue.sqs import SqsTransport

                return SqsTransport
            case BrokerKind.REDIS:
                return DoorbellTransport


class DoorbellAMQP(AMQP):
    """Have a Celery app connect by our transport."""

    Connection = DoorbellConnection
