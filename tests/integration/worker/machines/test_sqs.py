"""Amazon SQS carries the doorbells, where FACETAG_REDIS_URL says `sqs:`; moto imitates it."""

import json
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.config import Config
from pydantic import SecretStr

from facetag.errors import QueueUnavailable
from facetag.queue.celery_app import count_doorbells, make_celery, ping_queue, ring
from facetag.queue.task_names import TASK_TAG
from facetag.settings import Settings
from facetag.standalone.servers.ports import find_free_ports
from tests.integration.worker.harness import Harness, png

pytestmark = pytest.mark.integration

REGION = "eu-west-1"
KEYS = ("AKIAEXAMPLE", "sec/ret")
FORGED = (
    "not base64!",
    "W10=",
    json.dumps({"headers": {"task": TASK_TAG}, "body": "bm90IGpzb24="}),
    json.dumps({"headers": {"task": "os.system"}, "body": "W10="}),
)
"""Messages that are no doorbells."""


class Moto:
    """An imitation of Amazon's services on loopback, which forgets all when it ends."""

    def __init__(self, log) -> None:
        (self.port,) = find_free_ports(1)
        self.url = f"sqs://{KEYS[0]}:{KEYS[1].replace('/', '%2F')}@127.0.0.1:{self.port}/mine"
        self.settings = Settings(redis_url=SecretStr(self.url), s3_region=REGION)
        self._log = log

    def start(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            try:
                return ping_queue(self.settings)
            except QueueUnavailable:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.2)

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def client(self):
        return boto3.client(
            "sqs",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=REGION,
            aws_access_key_id=KEYS[0],
            aws_secret_access_key=KEYS[1],
            config=Config(proxies={}),
        )

    def queue(self, name: str) -> str:
        return str(self.client().get_queue_url(QueueName=f"mine-{name}")["QueueUrl"])


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    moto = Moto(tmp_path_factory.mktemp("moto") / "log")
    moto.start()
    yield moto
    moto.end()


@pytest.fixture
def by_sqs(harness, moto):
    """The harness, with SQS as its broker."""
    change = {"redis_url": moto.settings.redis_url, "s3_region": REGION}
    harness.settings = harness.settings.model_copy(update=change)
    other = Harness(harness.settings, log=harness.log)
    yield other
    other.sessions.kw["bind"].dispose()


@pytest.mark.timeout(300)
def test_jobs_are_labelled_before_and_after_a_broker_that_forgot_all(by_sqs, start, moto):
    harness = by_sqs
    harness.set(sweep_interval_s=0.5)
    photos = [png(color=f"#ffff{n:02x}") for n in range(40)]
    job_id = harness.post(harness.put(*photos))
    assert count_doorbells(harness.settings) == 0
    harness.ring(job_id, images=8)
    assert count_doorbells(harness.settings) == 2
    for body in FORGED:
        moto.client().send_message(QueueUrl=moto.queue("tag"), MessageBody=body)
    worker = start("worker")
    start("worker")
    start("sweeper")
    job = harness.wait_until_closed(job_id)
    assert (job.state, job.tagged) == ("completed", 40)
    harness.wait_until(lambda: count_doorbells(harness.settings) == 0, "the queue is empty")
    dropped = harness.log.read_text().count('"message_dropped"')
    assert dropped == len(FORGED)

    moto.end()
    moto.start()
    second = harness.post(harness.put(*photos))
    job = harness.wait_until_closed(second)
    assert (job.state, job.tagged) == ("completed", 40)
    worker.terminate()
    assert worker.wait(30) == 0


def test_nobody_waits_for_a_broker_that_hangs_or_is_gone(moto):
    celery = make_celery(moto.settings)
    assert ring(celery, uuid.uuid4(), images=1, settings=moto.settings) is True
    moto.freeze()
    check_not_heard(celery, moto.settings)
    moto.thaw()
    assert ring(celery, uuid.uuid4(), images=1, settings=moto.settings) is True
    moto.end()
    check_not_heard(celery, moto.settings)


def check_not_heard(celery, settings):
    began = time.monotonic()
    assert ring(celery, uuid.uuid4(), images=100, settings=settings) is False
    assert time.monotonic() - began < 6
    with ThreadPoolExecutor() as threads:
        for answer in [threads.submit(ask, settings) for ask in (count_doorbells, ping_queue)]:
            with pytest.raises(QueueUnavailable, match="SQS does not answer"):
                answer.result()
