import errno
import os
import threading
import time

import pytest

from facetag.errors import LocalServerFailed
from facetag.standalone.processes import supervisor
from facetag.standalone.processes.supervisor import GIVE_UP_AFTER, Supervisor, describe_end


class Fragile:
    """A process that ends when told to, and lives after a restart only if it may."""

    title = "The fragile process"

    def __init__(self, *, mends=True):
        self.exit_status = None
        self.restarts = []
        self._mends = mends

    def restart(self):
        self.restarts.append(time.monotonic())
        if self._mends:
            self.exit_status = None

    def log_tail(self):
        return "its last words"


class BeyondRepair(Fragile):
    def restart(self):
        raise LocalServerFailed("its folder is gone")


class WithoutSpace(Fragile):
    def restart(self):
        self.restarts.append(time.monotonic())
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Unforeseen(Fragile):
    def restart(self):
        raise ZeroDivisionError("nobody thought of this")


@pytest.fixture
def supervise(monkeypatch):
    monkeypatch.setattr(supervisor, "LOOK_EVERY_S", 0.05)
    begun = []

    def begin(*processes, spare=()):
        told, faulty = [], threading.Event()
        begun.append(Supervisor(processes, spare=spare, on_event=told.append, on_fault=faulty.set))
        begun[-1].start()
        return begun[-1], told, faulty

    yield begin
    for watch in begun:
        watch.stop()


def wait_for(condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come true")


def test_what_ends_is_started_again_after_a_pause_and_a_word(supervise):
    process = Fragile()
    watch, told, _ = supervise(process)
    process.exit_status = -9
    wait_for(lambda: process.restarts)
    assert told == ["The fragile process was ended by SIGKILL; starting it again in 1 s"]
    assert process.exit_status is None
    assert watch.fault is None


def test_it_gives_up_on_what_cannot_live_and_says_why(supervise):
    process = Fragile(mends=False)
    watch, told, faulty = supervise(process)
    process.exit_status = 1
    assert faulty.wait(60)
    assert len(process.restarts) == GIVE_UP_AFTER - 1
    assert "ended with status 1, 4 times in a row" in watch.fault
    assert "its last words" in watch.fault
    pauses = [line.rsplit(" in ")[1] for line in told]
    assert pauses == ["1 s", "2 s", "4 s"]


def test_what_cannot_be_started_again_is_a_fault_too(supervise):
    process = BeyondRepair()
    watch, _, faulty = supervise(process)
    process.exit_status = 1
    assert faulty.wait(60)
    assert watch.fault == "its folder is gone"


def test_it_never_gives_up_for_a_process_that_the_service_can_do_without(supervise, monkeypatch):
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr(supervisor, "SPARE_PAUSE_S", 0.7)
    worker, api = Fragile(mends=False), Fragile()
    watch, told, faulty = supervise(api, spare=[worker])
    worker.exit_status = 1
    wait_for(lambda: len(worker.restarts) > GIVE_UP_AFTER)
    assert watch.fault is None
    assert not faulty.is_set()
    (said,) = [line for line in told if "4 times in a row" in line]
    assert "everything else stays up" in said
    assert "its last words" in said
    api.exit_status = 1
    wait_for(lambda: api.restarts)


def test_a_spare_process_that_cannot_be_started_again_is_no_fault(supervise):
    process = BeyondRepair()
    watch, told, faulty = supervise(spare=[process])
    process.exit_status = 1
    wait_for(lambda: "its folder is gone" in told)
    assert watch.fault is None
    assert not faulty.is_set()


def test_a_full_disk_at_a_restart_is_a_fault(supervise):
    process = WithoutSpace()
    watch, _, faulty = supervise(process)
    process.exit_status = 1
    assert faulty.wait(10)
    assert "The fragile process could not be started again" in watch.fault
    assert "No space left on device" in watch.fault


def test_a_spare_process_is_tried_again_after_a_full_disk(supervise, monkeypatch):
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_S", 0.1)
    process = WithoutSpace()
    watch, told, faulty = supervise(spare=[process])
    process.exit_status = 1
    wait_for(lambda: len(process.restarts) > 1)
    assert any("No space left on device" in line for line in told)
    assert watch.fault is None
    assert not faulty.is_set()


def test_an_error_that_nobody_foresaw_is_told_as_a_fault(supervise):
    process = Unforeseen()
    watch, _, faulty = supervise(spare=[process])
    process.exit_status = 1
    assert faulty.wait(10)
    assert "nobody thought of this" in watch.fault


def test_nothing_is_started_once_it_stopped(supervise):
    process = Fragile()
    watch, told, _ = supervise(process)
    process.exit_status = 1
    wait_for(lambda: told)
    watch.stop()
    time.sleep(supervisor.FIRST_PAUSE_S + 2 * supervisor.LOOK_EVERY_S)
    assert process.restarts == []


def test_ends_read_as_people_say_them():
    assert describe_end(0) == "ended with status 0"
    assert describe_end(-15) == "was ended by SIGTERM"
    assert describe_end(-99) == "was ended by signal 99"
