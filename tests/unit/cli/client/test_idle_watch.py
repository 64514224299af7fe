"""A service ends itself only once no command, no request and no job needs it."""

import pytest

from facetag_cli.client import idle_watch
from facetag_cli.client.idle_watch import IdleWatch


class World:
    """A clock that is set by hand, a log, and what the database says."""

    def __init__(self, folder):
        self.now = 0.0
        self.open_jobs = False
        self.in_use = False
        self.log = folder / "api.log"
        self.watch = IdleWatch(
            folder, self.log, lambda: self.open_jobs, linger_s=10, clock=lambda: self.now
        )

    def over_at(self, now):
        self.now = now
        return self.watch.is_over()

    def request(self):
        with self.log.open("a") as log:
            log.write("request\n")


@pytest.fixture
def world(tmp_path, monkeypatch):
    made = World(tmp_path)
    monkeypatch.setattr(idle_watch, "in_use", lambda _: made.in_use)
    return made


def test_without_any_use_it_is_over_after_the_time(world):
    assert not world.over_at(9)
    assert world.over_at(10)


def test_every_request_begins_the_time_anew(world):
    world.request()
    assert not world.over_at(9)
    world.request()
    assert not world.over_at(18)
    assert not world.over_at(27)
    assert world.over_at(28)


def test_a_command_that_uses_it_holds_it(world):
    world.in_use = True
    assert not world.over_at(100)
    world.in_use = False
    assert not world.over_at(109)
    assert world.over_at(110)


def test_an_open_job_holds_it(world):
    world.open_jobs = True
    assert not world.over_at(50)
    world.open_jobs = False
    assert not world.over_at(59)
    assert world.over_at(60)
