import ssl
import subprocess
import sys

import pytest
from celery.backends.base import DisabledBackend
from pydantic import SecretStr

from facetag.errors import SettingsInvalid
from facetag.queue.celery_app import QUEUE_PREDICT, QUEUE_TAG, make_celery, ring
from facetag.queue.doorbell_transport import DoorbellChannel
from facetag.settings import Settings

NOWHERE = SecretStr("redis://127.0.0.1:1/0")


@pytest.fixture
def settings():
    return Settings(redis_url=NOWHERE)


def test_only_json_is_accepted_and_sent(settings):
    conf = make_celery(settings).conf
    assert conf.accept_content == ["json"]
    assert conf.task_serializer == "json"
    assert conf.result_backend is None


def test_predict_is_declared_before_tag(settings):
    declared = list(make_celery(settings).amqp.queues.consume_from)
    assert declared[:2] == [QUEUE_PREDICT, QUEUE_TAG]


def test_the_app_is_made_without_any_worker_code_and_registers_no_task():
    program = (
        "import sys; from facetag.queue.celery_app import make_celery; "
        "from facetag.settings import Settings; "
        "app = make_celery(Settings(redis_url='redis://127.0.0.1:1/0')); "
        "print([t for t in app.tasks if not t.startswith('celery.')], "
        "[m for m in sys.modules if m.split('.')[0] in ('worker', 'vision', 'tensorflow')])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[] []"


def test_an_unset_address_says_which_setting_is_missing():
    with pytest.raises(SettingsInvalid, match="FACETAG_REDIS_URL"):
        make_celery(Settings(redis_url=None))


def test_ringing_into_the_void_returns_false(settings):
    assert ring(make_celery(settings), "job", images=1000, settings=settings) is False


def test_a_memory_limit_is_given_to_celery_in_kibibytes(settings):
    limited = settings.model_copy(update={"worker_max_memory_mb": 3})
    assert make_celery(limited).conf.worker_max_memory_per_child == 3072
    unlimited = settings.model_copy(update={"worker_max_memory_mb": None})
    assert make_celery(unlimited).conf.worker_max_memory_per_child is None


@pytest.mark.parametrize(
    "name",
    [
        "CELERY_BROKER_URL",
        "CELERY_BROKER_READ_URL",
        "CELERY_BROKER_WRITE_URL",
        "CELERY_RESULT_BACKEND",
        "CELERY_CONFIG_MODULE",
        "CELERY_LOADER",
        "DJANGO_SETTINGS_MODULE",
    ],
)
def test_variables_of_celery_change_nothing(settings, monkeypatch, name):
    monkeypatch.setenv(name, "db+sqlite:///nowhere")
    app = make_celery(settings)
    for connection in (app.connection_for_read(), app.connection_for_write()):
        assert connection.as_uri().endswith("127.0.0.1:1/0")
    with app.producer_or_acquire() as producer:
        assert producer.connection.as_uri().endswith("127.0.0.1:1/0")
    assert type(app.backend) is DisabledBackend
    assert app.conf.accept_content == ["json"]


def test_the_certificate_of_redis_is_checked():
    assert make_celery(Settings(redis_url=NOWHERE)).conf.broker_use_ssl in (None, False)
    encrypted = make_celery(Settings(redis_url=SecretStr("rediss://127.0.0.1:1/0")))
    assert encrypted.connection_for_read().ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis+socket:///tmp/none.sock"])
def test_every_connection_drops_what_is_no_doorbell(url):
    connection = make_celery(Settings(redis_url=SecretStr(url))).connection_for_read()
    for one in (connection, connection.clone()):
        assert one.get_transport_cls().Channel is DoorbellChannel


def test_another_broker_gets_its_own_transport_and_prefetches():
    for url, name in (("amqps://host//", "RabbitTransport"), ("sqs://", "SqsTransport")):
        app = make_celery(Settings(redis_url=SecretStr(url)))
        connection = app.connection_for_read()
        for one in (connection, connection.clone()):
            assert one.get_transport_cls().__name__ == name
        assert app.conf.worker_disable_prefetch is False


@pytest.mark.parametrize(
    ("url", "prefix", "encrypted"),
    [
        ("sqs://", "facetag-", True),
        ("sqs:///mine", "mine-", True),
        ("sqs://KEY:SECRET@queue.example/mine/", "mine-", True),
        ("sqs://127.0.0.1:9324", "facetag-", False),
    ],
)
def test_the_address_of_sqs_says_prefix_and_encryption(url, prefix, encrypted):
    settings = Settings(redis_url=SecretStr(url), s3_region="eu-west-1")
    options = make_celery(settings).conf.broker_transport_options
    assert options["queue_name_prefix"] == prefix
    assert options["is_secure"] is encrypted
    assert options["region"] == "eu-west-1"
