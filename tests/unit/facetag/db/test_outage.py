import pytest

from facetag.db.engine import make_engine, make_sessions, persist
from facetag.errors import DatabaseUnavailable
from facetag.settings import Settings

NOWHERE = Settings(database_url="postgresql://nobody@127.0.0.1:1/none")


@pytest.fixture
def sessions():
    """Sessions that never touch their database, which is away."""
    return make_sessions(make_engine(NOWHERE))


def test_work_is_done_again_until_the_database_is_back(sessions):
    faults = [DatabaseUnavailable("down"), DatabaseUnavailable("still down")]
    waits = []

    def work(_session):
        if faults:
            raise faults.pop(0)
        return "done"

    done = persist(sessions, work, give_up=lambda: False, on_wait=lambda: waits.append(None))
    assert done == "done"
    assert len(waits) == 2


def test_who_gives_up_gets_the_fault(sessions):
    def work(_session):
        raise DatabaseUnavailable("down")

    with pytest.raises(DatabaseUnavailable):
        persist(sessions, work, give_up=lambda: True)


def test_a_fault_of_the_work_itself_is_not_repeated(sessions):
    calls = []

    def work(_session):
        calls.append(None)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        persist(sessions, work, give_up=lambda: False)
    assert len(calls) == 1


def test_each_pause_is_twice_the_last_up_to_the_longest(sessions, monkeypatch):
    pauses = []
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)

    def work(_session):
        raise DatabaseUnavailable("down")

    with pytest.raises(DatabaseUnavailable):
        persist(sessions, work, give_up=lambda: len(pauses) == 7)
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
