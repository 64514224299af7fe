from datetime import UTC, datetime, timedelta

import pytest

from facetag_worker.lease_grace import JUMP_S, LeaseGrace


class Database:
    """A session of a database whose clock is set by hand."""

    now = datetime(2026, 11, 29, tzinfo=UTC)

    def execute(self, _statement):
        return self

    def scalar_one(self):
        return self.now


class Machine:
    """The database's clock, and one that stands still while the machine sleeps."""

    def __init__(self):
        self.session = Database()
        self.awake_s = 1000.0
        self.grace = LeaseGrace(60.0, clock=lambda: self.awake_s)

    def pass_time(self, seconds):
        self.awake_s += seconds
        self.set_clock(seconds)

    def set_clock(self, seconds):
        self.session.now += timedelta(seconds=seconds)

    def holds(self):
        return self.grace.holds(self.session)


@pytest.fixture
def machine():
    return Machine()


def test_grace_lasts_for_a_lease_after_the_delay(machine):
    assert not machine.holds()
    machine.grace.begin(delay_s=30.0)
    machine.grace.begin()
    machine.pass_time(89.0)
    assert machine.holds()
    machine.pass_time(2.0)
    assert not machine.holds()


@pytest.mark.parametrize(("asleep_s", "holds"), [(JUMP_S - 1, False), (JUMP_S + 1, True)])
def test_a_jump_of_the_databases_clock_begins_grace_for_a_lease(machine, asleep_s, holds):
    assert not machine.holds()
    machine.set_clock(asleep_s)
    assert machine.holds() == holds
    machine.pass_time(59.0)
    assert machine.holds() == holds
    machine.pass_time(2.0)
    assert not machine.holds()


@pytest.mark.parametrize("seconds", [0.0, -3600.0])
def test_neither_time_that_passes_nor_a_clock_set_back_begins_grace(machine, seconds):
    assert not machine.holds()
    machine.pass_time(3600.0)
    machine.set_clock(seconds)
    assert not machine.holds()
