import os
import subprocess
import sys

import pytest

from facetag.settings import Settings
from facetag.standalone.processes import process_record
from facetag_cli.client import unfinished_jobs
from facetag_cli.client.unfinished_jobs import (
    UnfinishedJob,
    UnfinishedJobs,
    images_digest,
    is_running,
    this_process,
    unfinished_path,
)

A, B = UnfinishedJob("a", "/photos", "7:1"), UnfinishedJob("b")


def test_jobs_are_remembered_until_they_end(tmp_path):
    path = tmp_path / "new" / "jobs.json"
    UnfinishedJobs(path).add("1", A)
    UnfinishedJobs(path).add("2", B)
    assert UnfinishedJobs(path).read() == {"1": A, "2": B}
    UnfinishedJobs(path).remove("1")
    UnfinishedJobs(path).remove("9")
    assert UnfinishedJobs(path).read() == {"2": B}


def test_a_note_that_was_cut_off_or_cannot_be_written_is_no_obstacle(tmp_path):
    path = tmp_path / "jobs.json"
    UnfinishedJobs(path).add("1", A)
    path.write_text(path.read_text()[:5])
    assert UnfinishedJobs(path).read() == {}
    path.write_text('{"1": "of an older facetag"}')
    assert UnfinishedJobs(path).read() == {}
    nowhere = UnfinishedJobs(path / "below a file")
    nowhere.add("1", A)
    assert nowhere.read() == {}


def test_only_the_same_images_in_the_same_order_and_settings_have_one_digest():
    a, b = {"key": "k", "name": "a"}, {"key": "k", "name": "b"}
    settings = Settings()

    def digest(images, settings=settings, *, reuse=True):
        return images_digest(images, settings, reuse=reuse)

    assert digest([a, b]) == digest([dict(a), dict(b)])
    others = [digest(images) for images in ([a, b], [b, a], [a], [])]
    others.append(digest([a, b], reuse=False))
    others.append(digest([a, b], settings.model_copy(update={"min_face": 0.02})))
    assert len(set(others)) == 6


def test_a_process_is_told_from_one_that_has_ended():
    assert is_running(this_process())
    assert not is_running(f"{os.getpid()}:1")
    pid, start, *machine = this_process().split(":")
    assert not is_running(":".join((pid, "1", *machine)))
    assert is_running(f"{pid}:{start}"), "as earlier releases named processes"
    program = "from facetag_cli.client.unfinished_jobs import this_process; print(this_process())"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not is_running(ended.stdout.strip())
    assert not is_running("")


@pytest.mark.parametrize("has_boot_id", [True, False])
def test_a_process_of_another_machine_is_taken_to_run(tmp_path, monkeypatch, has_boot_id):
    boot = tmp_path / "boot_id"
    monkeypatch.setattr(process_record, "BOOT_ID", boot)

    def start_machine(host, boot_id):
        monkeypatch.setattr(unfinished_jobs, "gethostname", lambda: host)
        if has_boot_id:
            boot.write_text(f"{boot_id}\n")

    start_machine("one", "a")
    owner = this_process()
    assert is_running(owner)
    ended = owner.replace(":", ":1", 1)
    assert not is_running(ended)
    start_machine("two", "b")
    assert is_running(owner)
    assert is_running(ended)
    if has_boot_id:
        start_machine("one", "c")
        assert not is_running(owner), "the machine was started again"
        start_machine("renamed", "a")
        assert not is_running(ended)


def test_a_process_of_another_container_is_taken_to_run(tmp_path, monkeypatch):
    """Its id means another process here, or none."""
    monkeypatch.setattr(process_record, "PROCESS_SPACE", tmp_path)
    ended = this_process().replace(":", ":1", 1)
    assert not is_running(ended)
    monkeypatch.setattr(process_record, "PROCESS_SPACE", tmp_path.parent)
    assert is_running(ended)


def test_each_service_has_its_own_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    own = Settings(data_dir=tmp_path)
    one, other = (Settings(data_dir=tmp_path, api_url=f"http://{host}") for host in "ab")
    assert len({unfinished_path(settings) for settings in (own, one, other)}) == 3
