import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil

from facetag.standalone.announcements import Announcement
from facetag_cli.client.lingering_service import end_service, end_unannounced, is_lingering

SERVICE = "import time; print('ready', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SERVICE
HOLDER = """
import pathlib, sys, time
from facetag.standalone.folder_lock import lock_folder
with lock_folder(pathlib.Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(60)
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""
"""A process that never asks how its child ended, like the first one of a container."""


@contextmanager
def service(program: str) -> Iterator[Announcement]:
    command = [sys.executable, "-c", PARENT, program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        started = psutil.Process(pid).create_time()
        yield Announcement("http://127.0.0.1:1", pid, started, None)


@contextmanager
def ready(*words: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-c", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def starting(folder: Path) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    return ready(SERVICE, "up", "--linger=300.0", f"--data-dir={folder}")


def holding(folder: Path, name: str) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    return ready(HOLDER, str(folder), name)


def test_a_service_that_ended_is_not_waited_for_until_its_parent_asks() -> None:
    with service(SERVICE) as announced:
        began = time.monotonic()
        end_service(announced, timeout_s=8)

        assert time.monotonic() - began < 4
        assert psutil.Process(announced.pid).status() == psutil.STATUS_ZOMBIE


def test_only_a_service_that_lingers_is_waited_for_as_long_as_a_start_takes(tmp_path) -> None:
    assert not is_lingering(tmp_path)
    (tmp_path / "lock").write_text("")
    assert not is_lingering(tmp_path)
    found = []
    for words in (["--linger=300.0"], ["--keep"]):
        command = [sys.executable, "-c", "import sys; sys.stdin.read()", *words]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            (tmp_path / "lock").write_text(f"{process.pid}\n")
            found.append(is_lingering(tmp_path))
    assert found == [True, False]
    assert not is_lingering(tmp_path)


def test_a_service_that_does_not_end_is_killed() -> None:
    with service(STUBBORN) as announced:
        end_service(announced, timeout_s=0.3)
        time.sleep(0.2)

        assert psutil.Process(announced.pid).status() == psutil.STATUS_ZOMBIE


def test_a_service_that_is_still_starting_is_ended_and_no_other_one(tmp_path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    assert not end_unannounced(ours)
    with starting(ours) as service, starting(other) as elsewhere:
        assert end_unannounced(ours)
        assert service.wait(timeout=5) == -signal.SIGTERM
        assert elsewhere.poll() is None
        assert not end_unannounced(ours)


def test_a_service_that_a_person_has_just_started_is_ended_once_it_holds_the_folder(
    tmp_path,
) -> None:
    with holding(tmp_path, "jobs") as command:
        assert not end_unannounced(tmp_path)
        assert command.poll() is None
    with holding(tmp_path, "up") as command:
        assert end_unannounced(tmp_path)
        assert command.wait(timeout=5) == -signal.SIGTERM
    # The lock's file stays, but nobody holds it.
    assert not end_unannounced(tmp_path)
