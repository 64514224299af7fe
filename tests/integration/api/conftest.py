"""The API on a real port, in a thread of the tests, over the real servers."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import structlog
import uvicorn
from pydantic import SecretStr

from facetag.settings import Settings
from facetag_api.app import create_app
from tests.integration.worker.harness import Harness


@pytest.fixture(scope="session", autouse=True)
def plain_log():
    """Structlog's default prints every local variable beside a traceback, which takes seconds."""
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    yield
    structlog.reset_defaults()


@contextmanager
def serve(settings: Settings, headers: dict[str, str]) -> Iterator[httpx.Client]:
    """Serve the API with these settings; yield a client of it that sends these headers."""
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings), port=0, log_config=None, access_log=False, lifespan="on"
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the API did not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=110, trust_env=False, headers=headers
        ) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def settings(servers, database):
    return servers.model_copy(
        update={
            "database_url": SecretStr(database),
            "source_buckets": ("museum",),
            "predict_timeout_s": 60.0,
            "lease_s": 2.0,
            "sweep_interval_s": 0.5,
        }
    )


@pytest.fixture
def harness(settings, tmp_path):
    harness = Harness(settings, log=tmp_path / "worker.log")
    harness.storage.ensure_bucket()
    yield harness
    harness.sessions.kw["bind"].dispose()


@pytest.fixture
def api(settings, harness):
    with serve(settings, harness.make_key()) as client:
        yield client


@pytest.fixture
def worker(harness):
    """Start a worker whose labeller is a fake; killed with its children at the end."""
    started = []

    def start(*arguments):
        started.append(harness.start_worker(*arguments))
        return started[-1]

    yield start
    for process in started:
        stop_group(process)


def stop_group(process):
    import os
    import signal

    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
