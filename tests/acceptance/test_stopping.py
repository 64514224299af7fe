"""What `facetag tag` leaves behind when it is stopped: nothing that runs, and nothing lost."""

import json
import os
import re
import signal
import time

import psutil
import psycopg
import pytest
from PIL import Image
from sqlalchemy import make_url

from facetag.settings import Settings
from facetag.standalone.connections import find_database, use_database

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]


PHOTOS = 36


def read_until(stream, words):
    """Read lines until one holds the words; returns all that was read."""
    read = ""
    for line in stream:
        read += line
        if words in line:
            return read
    raise AssertionError(f"{words!r} did not come:\n{read}")


def write_photo(path, number):
    """A photo whose bytes are its number's own."""
    Image.new("RGB", (96, 72), (number, 2 * number, 255 - number)).save(path)


def processes_on(data):
    """The processes whose command lines name a data folder; a zombie has none."""
    words = [one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"])]
    return [line for line in words if any(str(data) in word for word in line)]


def labelled_contents(url):
    """The contents of the photos that a network saw, once for each time."""
    query = "SELECT content FROM images WHERE stage_ms ? 'predict'"
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        return [row[0] for row in connection.execute(query)]


def test_ctrl_c_cancels_the_job_and_stops_all_that_was_started(start, samples, tmp_path):
    output = tmp_path / "out.jsonl"
    tag = start("tag", samples, "--data-dir", tmp_path / "data", "--output", output)
    read_until(tag.stderr, "13 to label")
    family = psutil.Process(tag.pid).children(recursive=True)
    assert family
    # As a terminal does it: to the whole group at once.
    os.killpg(tag.pid, signal.SIGINT)
    _, said = tag.communicate(timeout=600)
    assert tag.returncode == 130, said
    assert "Cancelled job" in said
    assert f"is kept in {tmp_path / 'data'}" in said
    assert "Traceback" not in said
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert not output.exists()


@pytest.mark.parametrize("pause_s", [0.2, 1.0, 2.0])
def test_ctrl_c_while_the_service_starts_says_so_and_leaves_none(start, run, tmp_path, pause_s):
    write_photo(tmp_path / "a.png", 1)
    data = tmp_path / "data"
    tag = start("tag", tmp_path / "a.png", "--data-dir", data, FACETAG_LINGER_S="300")
    read_until(tag.stderr, "Starting a service")
    time.sleep(pause_s)
    os.killpg(tag.pid, signal.SIGINT)
    _, said = tag.communicate(timeout=120)
    assert tag.returncode == 130, said
    assert "Stopped while the service was starting: nothing was sent." in said
    assert "No service runs" in run("down", "--data-dir", data).stderr
    assert processes_on(data) == []


@pytest.mark.parametrize("command", [("jobs",), ("results", "latest"), ("keys", "list")])
def test_ctrl_c_while_servers_start_for_a_command_says_so(start, run, tmp_path, command):
    assert run("keys", "list", "--data-dir", tmp_path).returncode == 0
    stopped = start(*command, "--data-dir", tmp_path)
    read_until(stopped.stderr, "Starting")
    os.killpg(stopped.pid, signal.SIGINT)
    shown, said = stopped.communicate(timeout=120)
    assert stopped.returncode == 130, said
    assert said.endswith("Stopped while the servers were starting: nothing was changed.\n")
    assert shown == ""
    assert processes_on(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_of_retag_is_cancelled_with_the_service_that_it_started(start, run, tmp_path, number):
    """Otherwise it would wait until another command's worker goes on with it unasked."""
    write_photo(tmp_path / "a.png", 1)
    data = tmp_path / "data"
    assert run("tag", tmp_path / "a.png", "--data-dir", data).returncode == 0
    retag = start("retag", "latest", "--data-dir", data)
    read_until(retag.stderr, "labels the photos of")
    os.kill(retag.pid, number)
    _, said = retag.communicate(timeout=120)
    assert retag.returncode == 130, said
    assert "Cancelled the job again: `facetag resume" in said
    (job, _) = json.loads(run("jobs", "--format", "json", "--data-dir", data).stdout)
    assert job["state"] == "cancelled"


def test_down_ends_a_service_that_starts(start, run, tmp_path):
    write_photo(tmp_path / "a.png", 1)
    data = tmp_path / "data"
    tag = start("tag", tmp_path / "a.png", "--data-dir", data, FACETAG_LINGER_S="300")
    read_until(tag.stderr, "Starting a service")
    time.sleep(1.0)
    # Nobody is left to end what it started.
    tag.kill()
    assert "Ended the service" in run("down", "--data-dir", data).stderr
    assert processes_on(data) == []


def test_a_run_that_was_killed_is_gone_on_with_and_labels_no_photo_twice(start, run, tmp_path):
    data, photos = tmp_path / "data", tmp_path / "photos"
    photos.mkdir()
    for number in range(PHOTOS):
        write_photo(photos / f"{number:02}.png", number)
    tag = start("tag", photos, "--data-dir", data, FACETAG_CHUNK_IMAGES="4")
    read_until(tag.stderr, f"0 known, {PHOTOS} to label")
    due = time.monotonic() + 900
    while len(labelled_contents(find_database(data))) < 4:
        assert time.monotonic() < due
        time.sleep(0.05)
    family = psutil.Process(tag.pid).children(recursive=True)
    tag.kill()
    killed = time.monotonic()
    tag.wait(timeout=30)
    assert psutil.wait_procs(family, timeout=180)[1] == []

    # Two photos are new, one has gone, and one has another name.
    write_photo(photos / "99.png", PHOTOS)
    write_photo(photos / "00.png", PHOTOS + 1)
    (photos / "01.png").unlink()
    (photos / "02.png").rename(photos / "again.png")
    again = run("tag", photos, "--data-dir", data, "--format", "jsonl")
    assert again.returncode == 0, again.stderr
    # Nobody waits until the lease of the dead worker has run out.
    assert time.monotonic() - killed < Settings().lease_s
    assert "Sent 2 photos" in again.stderr
    known = int(re.search(rf"{PHOTOS} photos: (\d+) known", again.stderr)[1])
    assert known >= 2
    lines = [json.loads(line) for line in again.stdout.splitlines()]
    assert [line["image"] for line in lines] == sorted(path.name for path in photos.iterdir())
    assert json.loads((data / "tag-jobs.json").read_text()) == {}
    with use_database(Settings(data_dir=data)) as url:
        labelled = labelled_contents(url)
    assert len(labelled) == len(set(labelled))
    assert len(labelled) in (PHOTOS + 1, PHOTOS + 2)

    # All that `tag` printed is printed again by the short id, from the local servers alone.
    (short,) = set(re.findall(r"facetag results ([0-9a-f]{8})", again.stderr))
    later = run("results", short, "--data-dir", data, "--format", "jsonl")
    assert later.stdout == again.stdout
    rows = run("jobs", "--data-dir", data).stdout.splitlines()
    assert [row.split()[0] for row in rows[1:2]] == [short]
