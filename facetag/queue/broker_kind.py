"""Tell by the URL in FACETAG_REDIS_URL which broker carries the doorbells."""

from enum import Enum


class BrokerKind(Enum):
    """Brokers that are known."""

    REDIS = "Redis"
    RABBITMQ = "RabbitMQ"
    SQS = "SQS"


_BY_SCHEME = {"amqp": BrokerKind.RABBITMQ, "amqps": BrokerKind.RABBITMQ, "sqs": BrokerKind.SQS}


def broker_of(url: str) -> BrokerKind:
    """Return the kind of a broker that a URL, or its scheme alone, names."""
    return _BY_SCHEME.get(url.partition(":")[0], BrokerKind.REDIS)
