"""The commands that work with jobs, against a `facetag up` on the same data folder."""

import json
import signal
import time

import psutil
import pytest

from benchmarks.samples import EXPECTED

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]


def wait_until(condition, what, timeout_s=600):
    due = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < due, f"waited in vain until {what}"
        time.sleep(0.2)


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def service(start, run, data_dir):
    """A service that other commands find by the data folder alone."""
    up = start("up", "--data-dir", data_dir, "--quiet")
    wait_until(lambda: (data_dir / "service.json").exists() or up.poll() is not None, "it is up")
    assert up.poll() is None, up.stderr.read()
    family = psutil.Process(up.pid).children(recursive=True)
    yield lambda *arguments: run(*arguments, "--data-dir", data_dir)
    up.send_signal(signal.SIGTERM)
    up.wait(timeout=300)
    assert psutil.wait_procs(family, timeout=30)[1] == []


def test_a_folder_is_uploaded_followed_read_retried_and_tagged_again(service, samples):
    job = service("upload", samples).stdout.strip()
    watched = service("status", job, "--watch")
    assert watched.returncode == 3, watched.stderr
    assert "13 of 13 photos finished: 6 tagged, 3 no face, 4 failed" in watched.stdout

    found = service("results", job, "--format", "jsonl")
    assert found.returncode == 0
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert [line["image"] for line in lines] == sorted(EXPECTED)

    retried = service("retry", job, "--only", "failed")
    assert retried.returncode == 0, retried.stderr
    assert "4 failed" in service("status", job, "--watch").stdout

    ended = service("cancel", job)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1

    again = service("tag", samples)
    assert again.returncode == 3
    assert "13 already there" in again.stderr
    assert "Starting" not in again.stderr

    one = service("predict", samples / "astronaut.jpg", "--format", "json")
    assert one.returncode == 0, one.stderr
    assert len(json.loads(one.stdout)["faces"]) == 1
    assert service("predict", samples / "empty.jpg").returncode == 3

    purged = service("purge", "--job", job[:8], "--yes")
    assert purged.stdout == f"The job {job} is deleted.\n", purged.stderr
    gone = service("status", job)
    assert (gone.returncode, gone.stderr.count("\n")) == (1, 1)
