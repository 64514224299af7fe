"""What `facetag tag` leaves behind when it is stopped: nothing that runs, and nothing lost."""

import json
import os
import signal
import time

import psutil
import pytest

from benchmarks.samples import EXPECTED

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]


def read_until(stream, words):
    """Read lines until one holds the words; returns all that was read."""
    read = ""
    for line in stream:
        read += line
        if words in line:
            return read
    raise AssertionError(f"{words!r} did not come:\n{read}")


def wait_for_file(path, timeout_s=60):
    due = time.monotonic() + timeout_s
    while not path.exists():
        assert time.monotonic() < due
        time.sleep(0.05)


def test_ctrl_c_cancels_the_job_and_stops_all_that_was_started(start, samples, tmp_path):
    output = tmp_path / "out.jsonl"
    tag = start("tag", samples, "--data-dir", tmp_path / "data", "--output", output)
    read_until(tag.stderr, "Sent 12 photos")
    wait_for_file(tmp_path / "data" / "tag-jobs.json")
    family = psutil.Process(tag.pid).children(recursive=True)
    assert family
    # As a terminal does it: to the whole group at once.
    os.killpg(tag.pid, signal.SIGINT)
    _, said = tag.communicate(timeout=600)
    assert tag.returncode == 130, said
    assert "Cancelled job" in said
    assert f"are kept in {tmp_path / 'data'}" in said
    assert "Traceback" not in said
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert not output.exists()


def test_a_run_that_was_killed_is_gone_on_with(start, run, samples, tmp_path):
    data = tmp_path / "data"
    tag = start("tag", samples, "--data-dir", data)
    read_until(tag.stderr, "Sent 12 photos")
    wait_for_file(data / "tag-jobs.json")
    family = psutil.Process(tag.pid).children(recursive=True)
    tag.kill()
    tag.wait(timeout=30)
    assert psutil.wait_procs(family, timeout=180)[1] == []

    again = run("tag", samples, "--data-dir", data, "--format", "jsonl")
    assert again.returncode == 3, again.stderr
    assert "Continuing job" in again.stderr
    assert "Sent 0 photos" in again.stderr
    lines = [json.loads(line) for line in again.stdout.splitlines()]
    assert [line["image"] for line in lines] == sorted(EXPECTED)
    assert json.loads((data / "tag-jobs.json").read_text()) == {}
