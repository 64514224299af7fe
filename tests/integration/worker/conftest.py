import os
import signal

import pytest
from pydantic import SecretStr

from tests.integration.worker.harness import Harness


@pytest.fixture
def harness(servers, database, tmp_path):
    settings = servers.model_copy(
        update={
            "database_url": SecretStr(database),
            "lease_s": 2.0,
            "chunk_images": 4,
            "sweep_interval_s": 0.5,
        }
    )
    harness = Harness(settings, log=tmp_path / "worker.log")
    harness.storage.ensure_bucket()
    yield harness
    harness.sessions.kw["bind"].dispose()


@pytest.fixture
def start(harness):
    """Start a worker or a sweeper; whatever still runs at the end is killed with its children."""
    kinds = {
        "worker": harness.start_worker,
        "sweeper": harness.start_sweeper,
        "command": harness.start_command,
    }
    started = []

    def start_process(kind, *arguments):
        started.append(kinds[kind](*arguments))
        return started[-1]

    yield start_process
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
