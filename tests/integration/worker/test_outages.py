import subprocess
import time

import psycopg
import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import RedisError

from facetag.standalone.servers.binaries import find_valkey
from facetag.standalone.servers.ports import LOOPBACK
from tests.integration.worker.harness import Harness, free_port, png

pytestmark = pytest.mark.integration


class Valkey:
    """A broker of a test's own, which may stop and come back with nothing in it."""

    def __init__(self):
        self.port = free_port()
        self.url = f"redis://{LOOPBACK}:{self.port}/0"
        self.process = None

    def start(self):
        command = [find_valkey(), "--port", str(self.port), "--bind", LOOPBACK, "--save", ""]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        with Redis.from_url(self.url) as client:
            until = time.monotonic() + 30
            while True:
                try:
                    client.ping()
                except RedisError:
                    assert time.monotonic() < until
                    time.sleep(0.05)
                else:
                    return

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def valkey():
    valkey = Valkey()
    valkey.start()
    yield valkey
    valkey.stop()


@pytest.fixture
def harness(harness, valkey):
    """The harness of the other tests, on a broker of its own."""
    settings = harness.settings.model_copy(update={"redis_url": SecretStr(valkey.url)})
    own = Harness(settings, log=harness.log)
    yield own
    own.sessions.kw["bind"].dispose()


def cut_connections(database, *, for_s):
    """End every connection to the database again and again, as a server in trouble does."""
    url = database.replace("+psycopg", "", 1)
    with psycopg.connect(url, autocommit=True) as connection:
        until = time.monotonic() + for_s
        while time.monotonic() < until:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            )
            time.sleep(0.005)


def test_jobs_are_done_though_redis_went_away_and_forgot_everything(harness, start, valkey):
    keys = harness.put(png()) * 40
    start("sweeper")
    start("worker", "--photo-s", "0.03")
    job_id = harness.post(keys, announced=True)
    harness.wait_until(lambda: harness.job(job_id).tagged > 0, "the job is under way")
    valkey.stop()
    unannounced = harness.post(keys[:4])
    time.sleep(3)
    valkey.start()
    for each in (job_id, unannounced):
        assert harness.wait_until_closed(each).state == "completed"
    later = harness.post(keys[:4], announced=True)
    assert harness.wait_until_closed(later).state == "completed"


def test_a_database_that_drops_connections_costs_no_result_and_doubles_none(
    harness, start, database
):
    keys = harness.put(png()) * 150
    start("sweeper")
    start("worker", "--photo-s", "0.03")
    job_id = harness.post(keys, announced=True)
    harness.wait_until(lambda: harness.job(job_id).tagged > 0, "the job is under way")
    cut_connections(database, for_s=2.0)
    assert "PostgreSQL does not answer" in harness.log.read_text()
    assert harness.wait_until_closed(job_id).tagged == 150
    assert {len(line["faces"]) for line in harness.lines(job_id)} == {1}
