import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from facetag.errors import LocalServerFailed
from facetag.standalone.processes.account import find_own
from facetag.standalone.processes.process import LOG_BYTES, ChildProcess, Command, kill_leftovers

SLEEP = ["/bin/sleep", "60"]

PARENT = """
import sys
from pathlib import Path
from facetag.standalone.processes.process import ChildProcess, Command

folder = Path(sys.argv[1])
command = Command("child", ["/bin/sleep", "60"], folder, {})
child = ChildProcess(command, run_dir=folder, logs_dir=folder)
child.start()
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def make_child(tmp_path):
    made = []

    def make(arguments, **options):
        command = Command("child", arguments, tmp_path, {"PATH": os.environ["PATH"]}, **options)
        made.append(ChildProcess(command, run_dir=tmp_path, logs_dir=tmp_path))
        return made[-1]

    yield make
    for child in made:
        child.stop()


def wait_for(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come true")


def wait_for_end(child):
    wait_for(lambda: child.exit_status is not None)
    return child.exit_status


def test_it_becomes_the_command_and_is_remembered_until_it_is_stopped(make_child, tmp_path):
    child = make_child(SLEEP)
    child.start()
    wait_for(lambda: psutil.Process(child.pid).cmdline() == SLEEP)
    assert json.loads((tmp_path / "child.json").read_text())["pid"] == child.pid
    child.stop()
    assert child.exit_status == -signal.SIGTERM
    assert not (tmp_path / "child.json").exists()
    child.stop()


def test_what_it_writes_is_in_its_log(make_child, tmp_path):
    child = make_child(["/bin/sh", "-c", "seq 20; echo broken >&2; exit 3"])
    child.start()
    assert wait_for_end(child) == 3
    assert child.log_tail().splitlines()[0].endswith(f"{tmp_path / 'child.log'}:")
    assert child.log_tail().splitlines()[-1] == "  broken"
    assert "\n  13\n" not in child.log_tail()


def test_a_log_that_grew_large_is_put_aside_and_one_older_kept(make_child, tmp_path):
    (tmp_path / "child.log").write_bytes(b"x" * (LOG_BYTES + 1))
    child = make_child(["/bin/echo", "new"])
    child.start()
    assert wait_for_end(child) == 0
    assert (tmp_path / "child.log").read_text() == "new\n"
    assert (tmp_path / "child.log.1").stat().st_size == LOG_BYTES + 1


def test_what_ignores_the_signal_to_stop_is_killed_with_all_that_it_started(make_child, tmp_path):
    script = "trap '' TERM; sleep 60 & echo $! > grandchild; while :; do sleep 0.1; done"
    child = make_child(["/bin/sh", "-c", script], stop_timeout_s=0.3)
    child.start()
    wait_for(lambda: (tmp_path / "grandchild").exists() and (tmp_path / "grandchild").read_text())
    grandchild = int((tmp_path / "grandchild").read_text())
    child.stop()
    assert child.exit_status == -signal.SIGKILL
    wait_for(lambda: not is_alive(grandchild))


def test_what_a_process_leaves_behind_ends_with_it(make_child, tmp_path):
    child = make_child(["/bin/sh", "-c", "sleep 60 & echo $! > grandchild"])
    child.start()
    assert wait_for_end(child) == 0
    wait_for(lambda: not is_alive(int((tmp_path / "grandchild").read_text())))


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_waiting_ends_early_where_the_process_does(make_child):
    child = make_child(["/bin/false"])
    child.start()
    assert child.wait_until(lambda: False, timeout_s=60) is False


def test_waiting_for_too_long_is_an_error_with_the_log(make_child):
    child = make_child(["/bin/sh", "-c", "echo thinking; exec sleep 60"])
    child.start()
    wait_for(lambda: "thinking" in child.log_tail())
    with pytest.raises(LocalServerFailed, match=r"(?s)did not answer.*thinking"):
        child.wait_until(lambda: False, timeout_s=0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_it_lives_on_after_the_thread_that_started_it(make_child):
    child = make_child(SLEEP)

    def start_and_end():
        child.start()
        wait_for(lambda: psutil.Process(child.pid).cmdline() == SLEEP)

    thread = threading.Thread(target=start_and_end)
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert child.exit_status is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_it_ends_with_a_parent_that_is_killed(tmp_path):
    pid = start_and_kill_parent(tmp_path)
    wait_for(lambda: not is_alive(pid))


def start_and_kill_parent(folder):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        pid = int(parent.stdout.readline())
        wait_for(lambda: psutil.Process(pid).cmdline() == SLEEP)
        parent.kill()
    return pid


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
def test_it_runs_as_another_user_and_still_ends_with_its_parent(make_child):
    account = find_own()
    child = make_child(SLEEP, account=account)
    child.start()
    wait_for(lambda: psutil.Process(child.pid).cmdline() == SLEEP)
    process = psutil.Process(child.pid)
    assert set(process.uids()) == {account.uid}
    assert set(process.gids()) == {account.gid}
    text = Path(f"/proc/{child.pid}/status").read_text()
    status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert status["Groups"].strip() == ""


def test_leftovers_of_a_crash_are_killed(make_child, tmp_path):
    child = make_child(SLEEP)
    child.start()
    assert kill_leftovers(tmp_path) == ["child"]
    assert child.exit_status is not None
    assert not (tmp_path / "child.json").exists()


def test_a_copy_of_the_folder_does_not_kill_what_the_other_one_runs(tmp_path):
    folder, copy = tmp_path / "data", tmp_path / "copy"
    (folder / "run").mkdir(parents=True)
    command = Command("child", SLEEP, folder, {})
    child = ChildProcess(command, run_dir=folder / "run", logs_dir=folder)
    child.start()
    try:
        shutil.copytree(folder, copy)
        assert kill_leftovers(copy / "run") == []
        assert child.exit_status is None
        assert not list((copy / "run").iterdir())
        assert kill_leftovers(folder / "run") == ["child"]
    finally:
        child.stop()


def test_a_stranger_with_a_remembered_id_is_left_alone(make_child, tmp_path):
    child = make_child(SLEEP)
    child.start()
    record = tmp_path / "child.json"
    remembered = json.loads(record.read_text())
    record.write_text(json.dumps(remembered | {"started": f"1{remembered['started']}"}))
    assert kill_leftovers(tmp_path) == []
    assert child.exit_status is None
    assert not record.exists()


def test_a_record_that_was_cut_off_is_no_obstacle(tmp_path):
    for name, text in [("a", ""), ("b", "{}"), ("c", "[1]"), ("d", '{"pid": 999999999}')]:
        (tmp_path / f"{name}.json").write_text(text)
    assert kill_leftovers(tmp_path) == []
    assert not list(tmp_path.iterdir())
