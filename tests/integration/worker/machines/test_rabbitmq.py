"""RabbitMQ carries the doorbells, where FACETAG_REDIS_URL names one."""

import json
import os
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from kombu import Connection
from pydantic import SecretStr

from facetag.errors import QueueUnavailable
from facetag.queue.celery_app import QUEUE_TAG, count_doorbells, ping_queue
from facetag.queue.task_names import TASK_TAG
from facetag.settings import Settings, load_settings
from facetag.standalone.servers.ports import find_free_ports
from tests.integration.worker.harness import Harness, png

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's; the one on the PATH runs as another user."""

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not PROGRAM.exists(), reason="needs Debian's rabbitmq-server"),
]

FORGED = (
    ("not json", {}),
    ('["not an id"]', {"task": TASK_TAG}),
    (json.dumps([[str(uuid.uuid4())], {}, {}]), {"task": "os.system"}),
    (json.dumps([[str(uuid.uuid4())], {}, {}]), {"task": TASK_TAG, "eta": "2100-01-01T00:00:00"}),
)
"""Messages that are no doorbells, and one with an order that is left out."""


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory):
    """The URL of a RabbitMQ of these tests' own."""
    folder = tmp_path_factory.mktemp("rabbitmq")
    port, distribution, epmd = find_free_ports(3)
    environment = os.environ | {
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(epmd),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"facetag{os.getpid()}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
    }
    with (folder / "output").open("wb") as output:
        server = subprocess.Popen([PROGRAM], env=environment, stdout=output, stderr=output)
    url = f"amqp://guest:guest@127.0.0.1:{port}//"
    deadline = time.monotonic() + 120
    while True:
        try:
            ping_queue(Settings(redis_url=SecretStr(url)))
            break
        except QueueUnavailable:
            assert server.poll() is None, (folder / "output").read_text()
            assert time.monotonic() < deadline, (folder / "output").read_text()
            time.sleep(0.5)
    yield url
    server.terminate()
    server.wait(60)
    subprocess.run([shutil.which("epmd") or "epmd", "-kill"], env=environment, check=False)


@pytest.fixture
def by_rabbitmq(harness, rabbitmq):
    """The harness, with RabbitMQ as its broker."""
    settings = harness.settings.model_copy(update={"redis_url": SecretStr(rabbitmq)})
    other = Harness(settings, log=harness.log)
    harness.settings = settings
    yield other
    other.sessions.kw["bind"].dispose()


def doorbells_are(count, harness):
    """Ask for the queues: RabbitMQ counts a message a moment after it was sent, and a busy machine
    may not answer within the second that it gets.
    """
    try:
        return count_doorbells(harness.settings) == count
    except QueueUnavailable:
        return False


@pytest.mark.timeout(300)
def test_a_job_is_labelled_and_forged_messages_are_dropped(by_rabbitmq, start, rabbitmq):
    harness = by_rabbitmq
    job_id = harness.post(harness.put(*(png(color=f"#ffff{n:02x}") for n in range(40))))
    assert count_doorbells(harness.settings) == 0
    harness.ring(job_id, images=8)
    harness.wait_until(lambda: doorbells_are(2, harness), "two doorbells wait")
    with Connection(rabbitmq) as connection:
        producer = connection.Producer()
        for body, headers in FORGED:
            producer.publish(
                body.encode(),
                routing_key=QUEUE_TAG,
                headers=headers,
                content_type="application/json",
                content_encoding="utf-8",
            )
    start("worker")
    start("worker")
    start("sweeper")
    job = harness.wait_until_closed(job_id)
    assert (job.state, job.tagged) == ("completed", 40)
    harness.wait_until(lambda: doorbells_are(0, harness), "the queue is empty")
    assert harness.log.read_text().count('"message_dropped"') == 3


def test_a_broker_that_is_away_is_unavailable_within_seconds(monkeypatch):
    monkeypatch.setenv("FACETAG_REDIS_URL", "amqp://guest:guest@127.0.0.1:1//")
    began = time.monotonic()
    with pytest.raises(QueueUnavailable, match="RabbitMQ does not answer"):
        count_doorbells(load_settings())
    assert time.monotonic() - began < 10
