import os
import subprocess
import sys

import psutil
import pytest

from facetag.standalone.processes import process_record
from facetag.standalone.processes.process_record import find_start, is_process

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no boot id")


@pytest.fixture(params=["boot id", "no boot id"])
def _system(request, tmp_path, monkeypatch):
    if request.param == "no boot id":
        monkeypatch.setattr(process_record, "BOOT_ID", tmp_path / "none")
    elif sys.platform != "linux":
        pytest.skip("only Linux has one")


@pytest.mark.usefixtures("_system")
def test_a_process_is_known_until_it_ends():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = find_start(process.pid)
        assert is_process(process.pid, started)
        # Another one that got the id started at another time.
        assert not is_process(process.pid, find_start(os.getpid()))
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_process(process.pid, started), "it is a zombie"
        assert find_start(process.pid) is None
    assert not is_process(process.pid, started)
    assert find_start(process.pid) is None


@LINUX
def test_a_step_of_the_clock_makes_no_record_stale(monkeypatch):
    own, seconds = find_start(os.getpid()), psutil.Process().create_time()
    booted = psutil.boot_time()
    # The kernel moves the time of the start of the machine by the step.
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + 1)
    assert abs(psutil.Process().create_time() - seconds) > 0.9, "the step did not happen"
    assert is_process(os.getpid(), own)


@LINUX
def test_a_process_of_before_a_restart_of_the_machine_is_no_more(tmp_path, monkeypatch):
    own = find_start(os.getpid())
    boot = tmp_path / "boot_id"
    boot.write_text("another\n")
    monkeypatch.setattr(process_record, "BOOT_ID", boot)
    assert not is_process(os.getpid(), own)


def test_a_record_of_an_earlier_release_is_understood():
    seconds = psutil.Process().create_time()
    assert is_process(os.getpid(), seconds)
    assert not is_process(os.getpid(), seconds - 60)


@LINUX
def test_a_name_with_brackets_and_spaces_is_no_obstacle(tmp_path):
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as process:
        assert find_start(process.pid).split(":")[0].isdigit()
        assert is_process(process.pid, find_start(process.pid))
        process.kill()
