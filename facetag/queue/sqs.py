"""Carry doorbells over Amazon SQS, for services on AWS that want no broker of their own.

Messages that are no doorbells are dropped, as on Redis; they are not counted. Workers wait for
messages without kombu's event loop, which would need libcurl.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.transport import SQS

from facetag.errors import QueueUnavailable
from facetag.loopback import is_loopback
from facetag.queue.doorbell import NOT_A_DOORBELL, purify

WAIT_S = 1
"""Seconds that a request waits for a message: a worker asks one queue after the other."""
PAUSE_S = 0.2
"""Seconds between two rounds over the queues."""
READ_TIMEOUT_S = WAIT_S + 2
HIDDEN_S = 60
"""A doorbell that a worker lost with its life is heard again after so long."""
KEPT_S = 3600
PREFIX = "facetag"
TLS_PORTS = (None, 443)
REFUSALS = (ClientError, OperationalError)
"""Exceptions after which a worker connects again, besides those that kombu knows."""

log = structlog.get_logger(__name__)


class SqsChannel(SQS.Channel):
    """Read messages, and delete those that are no doorbells."""

    def _put(self, *arguments: Any, **options: Any) -> None:
        with _translated():
            super()._put(*arguments, **options)

    def _messages_to_python(self, messages: Sequence[dict[str, Any]], queue: str) -> list[Any]:
        found = [(message, self._read(message, queue)) for message in messages]
        url = self._new_queue(queue)
        return [
            self._envelope_payload(doorbell, "", message, url)
            for message, doorbell in found
            if doorbell is not None
        ]

    def _read(self, message: dict[str, Any], queue: str) -> dict[str, Any] | None:
        try:
            return purify(json.loads(base64.b64decode(message["Body"], validate=True)), queue)
        except NOT_A_DOORBELL as error:
            log.warning("message_dropped", reason=f"{type(error).__name__}: {error}"[:200])
        self.sqs().delete_message(
            QueueUrl=self._new_queue(queue), ReceiptHandle=message["ReceiptHandle"]
        )
        return None


class SqsTransport(SQS.Transport):
    """Deliver doorbells without anything that was added to them."""

    Channel = SqsChannel
    connection_errors = (*SQS.Transport.connection_errors, *REFUSALS)  # type: ignore[assignment]
    implements = SQS.Transport.implements.extend(asynchronous=False)

    def create_channel(self, connection: Any) -> SqsChannel:
        """Return a channel; raises OperationalError where SQS does not answer."""
        with _translated():
            return super().create_channel(connection)


def transport_options(url: str, *, region: str, timeout_s: float) -> dict[str, Any]:
    """Return what Celery's URL of a broker cannot say.

    A URL without a host is Amazon's SQS; a port other than 443 is asked without TLS.
    """
    parts = urlsplit(url)
    return {
        "region": region,
        "is_secure": parts.port in TLS_PORTS,
        "queue_name_prefix": f"{parts.path.strip('/') or PREFIX}-",
        "wait_time_seconds": WAIT_S,
        "polling_interval": PAUSE_S,
        "visibility_timeout": HIDDEN_S,
        "sqs-creation-attributes": {"MessageRetentionPeriod": str(KEPT_S)},
        "client-config": {
            "connect_timeout": timeout_s,
            "read_timeout": READ_TIMEOUT_S,
            "retries": {"total_max_attempts": 1},
            # None: those of the environment.
            "proxies": {} if is_loopback(url) else None,
        },
    }


def ping_sqs(url: str, options: dict[str, Any]) -> None:
    """Check that SQS answers; raises QueueUnavailable."""
    with _connected(url, options):
        pass


def count_messages(url: str, queues: Sequence[str], options: dict[str, Any]) -> int:
    """Return about how many messages wait in these queues; raises QueueUnavailable."""
    with _connected(url, options) as connection:
        channel = connection.default_channel
        return sum(
            int(channel.queue_declare(queue, passive=True).message_count) for queue in queues
        )


@contextmanager
def _connected(url: str, options: dict[str, Any]) -> "Iterator[Connection]":
    connection = Connection(url, transport=SqsTransport, transport_options=options)
    with closing(connection):
        try:
            connection.connect()
            yield connection
        except connection.connection_errors as error:
            raise QueueUnavailable(
                f"SQS does not answer at FACETAG_REDIS_URL: check keys and region. ({error})"
            ) from error


@contextmanager
def _translated() -> "Iterator[None]":
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise OperationalError(str(error)) from error
