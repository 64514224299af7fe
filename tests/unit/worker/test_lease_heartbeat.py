import time
import uuid

import pytest

from facetag.db.engine import make_engine, make_sessions
from facetag.errors import DatabaseUnavailable
from facetag.queue.consumer import Stopping
from facetag.settings import Settings
from facetag_worker.claims import Claim
from facetag_worker.lease_heartbeat import Heartbeat, release_when_late

NOWHERE = Settings(database_url="postgresql://nobody@127.0.0.1:1/none")
CLAIM = Claim(uuid.uuid4(), uuid.uuid4(), "local", 0, ())


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def heartbeat(clock):
    """A heartbeat whose database is away: a beat that wants to extend a lease raises."""
    return Heartbeat(make_sessions(make_engine(NOWHERE)), 10, stall_s=60, clock=clock)


def test_nothing_held_is_nothing_extended(heartbeat):
    assert heartbeat.beat()


def test_what_is_held_is_extended(heartbeat):
    heartbeat.hold(CLAIM)
    with pytest.raises(DatabaseUnavailable):
        heartbeat.beat()


def test_what_was_dropped_or_forgotten_is_not_extended(heartbeat):
    heartbeat.hold(CLAIM)
    heartbeat.drop(CLAIM)
    assert heartbeat.beat()
    heartbeat.hold(CLAIM)
    heartbeat.forget()
    assert heartbeat.beat()


def test_what_was_abandoned_is_kept_until_it_can_be_given_back(heartbeat):
    heartbeat.hold(CLAIM)
    heartbeat.abandon()
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            heartbeat.beat()


def test_leases_are_let_go_when_the_work_stalls(heartbeat, clock):
    heartbeat.hold(CLAIM)
    clock.now = 61
    assert not heartbeat.beat()


def test_progress_keeps_the_leases(heartbeat, clock):
    heartbeat.hold(CLAIM)
    clock.now = 59
    heartbeat.progress()
    clock.now = 61
    with pytest.raises(DatabaseUnavailable):
        heartbeat.beat()


class FaultySessions:
    """Sessions whose every use fails in a way that nobody foresaw."""

    tries = 0

    def __call__(self):
        self.tries += 1
        raise ZeroDivisionError


def test_the_heart_goes_on_beating_after_an_error_that_nobody_foresaw():
    sessions = FaultySessions()
    heartbeat = Heartbeat(sessions, 0.03)
    heartbeat.hold(CLAIM)
    heartbeat.start()
    deadline = time.monotonic() + 10
    while sessions.tries < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    heartbeat.stop()
    assert sessions.tries >= 3


class Holder:
    def __init__(self):
        self.surrendered = 0

    def surrender(self):
        self.surrendered += 1
        return 4


def test_what_is_held_is_given_back_only_some_time_after_the_word_to_stop():
    stopping, holder, slept = Stopping(), Holder(), []

    def sleep(pause_s):
        assert holder.surrendered == 0
        slept.append(pause_s)
        if len(slept) == 3:
            stopping.ask()

    release_when_late(stopping, holder, after_s=50.0, sleep=sleep).join(30)
    assert slept[3:] == [50.0]
    assert holder.surrendered == 1
