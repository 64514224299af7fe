import signal
import subprocess
import time
import uuid

import pytest
from kombu import Consumer
from pydantic import SecretStr
from redis import Redis

from facetag.errors import QueueUnavailable
from facetag.queue.celery_app import (
    count_doorbells,
    make_celery,
    ping_queue,
    ring,
    ring_listing,
)
from facetag.queue.task_names import TASK_LIST, TASK_TAG
from facetag.settings import Settings
from facetag.standalone.servers.binaries import find_valkey
from facetag.standalone.servers.ports import find_free_ports

pytestmark = pytest.mark.integration

JOB = uuid.uuid4()
PATIENCE_S = 3.0


@pytest.fixture
def private_redis(tmp_path):
    """Settings of a Valkey of this test's own, and a function that (re)starts it."""
    (port,) = find_free_ports(1)
    settings = Settings(redis_url=SecretStr(f"redis://127.0.0.1:{port}/0"), chunk_images=1)
    running = []

    def start():
        arguments = [find_valkey(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        server = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.DEVNULL)
        running.append(server)
        give_up = time.monotonic() + 30
        while True:
            try:
                ping_queue(settings)
            except QueueUnavailable:
                assert time.monotonic() < give_up
                time.sleep(0.05)
            else:
                return server

    yield settings, start
    for server in running:
        # A stopped process takes no other signal.
        server.kill()
        server.wait()


def ring_timed(celery, settings):
    """Ring, and return the answer and the seconds that it took."""
    began = time.monotonic()
    answer = ring(celery, JOB, images=1000, settings=settings)
    return answer, time.monotonic() - began


def test_a_job_rings_once_a_chunk_and_sixteen_times_at_most(settings):
    celery = make_celery(settings)
    assert ring(celery, JOB, images=settings.chunk_images + 1, settings=settings)
    assert count_doorbells(settings) == 2
    assert ring(celery, JOB, images=100_000, settings=settings)
    assert count_doorbells(settings) == 2 + settings.max_doorbells
    assert ring(celery, JOB, images=0, settings=settings)
    assert count_doorbells(settings) == 2 + settings.max_doorbells


def test_predict_is_heard_before_everything_that_was_rung_earlier(settings):
    celery = make_celery(settings)
    ring_listing(celery, JOB)
    ring(celery, JOB, images=3 * settings.chunk_images, settings=settings)
    heard = []

    def hear(_, message):
        heard.append((message.delivery_info["routing_key"], message.headers["task"]))
        message.ack()
        if len(heard) == 1:
            ring(celery, JOB, images=1, settings=settings, priority=10)
            ring(celery, JOB, images=1, settings=settings, priority=10)

    with celery.connection_for_read() as connection:
        queues = list(celery.amqp.queues.consume_from.values())
        with Consumer(connection, queues, callbacks=[hear], prefetch_count=1):
            while len(heard) < 6:
                connection.drain_events(timeout=10)
    # Two in a row: kombu's default would put `tag` between them.
    assert heard == [
        ("tag", TASK_LIST),
        ("predict", TASK_TAG),
        ("predict", TASK_TAG),
        *[("tag", TASK_TAG)] * 3,
    ]


def test_a_message_is_json_and_says_only_which_job(settings):
    celery = make_celery(settings)
    ring(celery, JOB, images=1, settings=settings)
    with celery.connection_for_read() as connection:
        message = connection.SimpleQueue(celery.amqp.queues["tag"]).get(timeout=10)
    assert message.content_type == "application/json"
    assert message.payload[:2] == [[str(JOB)], {}]


def test_nobody_waits_where_nothing_listens(private_redis):
    settings, _ = private_redis
    answer, took_s = ring_timed(make_celery(settings), settings)
    assert answer is False
    assert took_s < PATIENCE_S
    with pytest.raises(QueueUnavailable, match="FACETAG_REDIS_URL"):
        ping_queue(settings)
    with pytest.raises(QueueUnavailable):
        count_doorbells(settings)


@pytest.mark.parametrize("connected", [False, True])
def test_nobody_waits_for_a_redis_that_hangs(private_redis, connected):
    settings, start = private_redis
    server = start()
    celery = make_celery(settings)
    if connected:
        assert ring_timed(celery, settings)[0] is True
    server.send_signal(signal.SIGSTOP)
    answer, took_s = ring_timed(celery, settings)
    assert answer is False
    assert took_s < PATIENCE_S
    with pytest.raises(QueueUnavailable):
        ping_queue(settings)
    server.send_signal(signal.SIGCONT)
    assert ring_timed(celery, settings)[0] is True


def test_the_first_ring_after_a_restart_of_redis_is_heard(private_redis):
    settings, start = private_redis
    celery = make_celery(settings)
    first = start()
    assert ring_timed(celery, settings)[0] is True
    first.kill()
    first.wait()
    start()
    assert ring_timed(celery, settings)[0] is True
    assert count_doorbells(settings) == settings.max_doorbells


def test_a_redis_that_is_full_is_a_doorbell_that_does_not_ring(private_redis):
    settings, start = private_redis
    start()
    with Redis.from_url(settings.require("redis_url")) as redis:
        redis.config_set("maxmemory", 1)
        redis.config_set("maxmemory-policy", "noeviction")
    assert ring_timed(make_celery(settings), settings)[0] is False


def test_a_wrong_password_is_a_doorbell_that_does_not_ring(private_redis):
    settings, start = private_redis
    start()
    with Redis.from_url(settings.require("redis_url")) as redis:
        redis.config_set("requirepass", "secret")
    assert ring_timed(make_celery(settings), settings)[0] is False
    with pytest.raises(QueueUnavailable):
        ping_queue(settings)
