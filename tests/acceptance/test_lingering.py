"""`facetag tag` leaves its service for the next command, and the service ends itself."""

import json
import time

import psutil
import pytest

from facetag.standalone.announcements import find_announced

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]
PATIENCE_S = 300


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One data folder: to make its database again takes longer than to start it."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    for number in range(2):
        Image.new("RGB", (90, 60), (number, 90, 60)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def tag(run, photos, data):
    def tag(*options, linger_s="300"):
        options = ["--data-dir", data, "--format", "jsonl", *options]
        done = run("tag", photos, *options, FACETAG_LINGER_S=linger_s)
        assert done.returncode == 0, done.stderr
        assert [json.loads(line)["state"] for line in done.stdout.splitlines()] == ["no_face"] * 2
        return done

    return tag


def family(announced):
    service = psutil.Process(announced.pid)
    return [service, *service.children(recursive=True)]


def test_the_next_commands_find_it_and_down_ends_it_with_all_that_it_started(tag, run, data):
    assert "Starting a service" in tag().stderr
    announced = find_announced(data)
    processes = family(announced)
    try:
        assert len(processes) > 5
        second = tag("--fresh")
        assert "Starting a service" not in second.stderr
        assert find_announced(data) == announced

        # Another setting takes another service.
        assert "Starting a service" in tag("--fresh", "--min-face", "0.1").stderr
        assert find_announced(data).pid != announced.pid
        assert psutil.wait_procs(processes, timeout=10)[1] == []
        processes = family(find_announced(data))
    finally:
        down = run("down", "--data-dir", data)
    assert "its data is kept" in down.stderr
    assert psutil.wait_procs(processes, timeout=10)[1] == []
    assert find_announced(data) is None
    assert "No service runs" in run("down", "--data-dir", data).stderr


def test_unused_it_ends_itself_and_leaves_nothing(tag, data):
    tag(linger_s="2")
    announced = find_announced(data)
    # On a busy machine it may have ended already.
    processes = family(announced) if announced is not None else []
    due = time.monotonic() + PATIENCE_S
    while [process for process in processes if process.is_running()]:
        assert time.monotonic() < due
        time.sleep(0.2)
    assert find_announced(data) is None


def test_with_no_keep_it_ends_with_the_command(tag, data):
    tag("--no-keep")
    assert find_announced(data) is None
    assert not (data / "postgresql" / "postmaster.pid").exists()
