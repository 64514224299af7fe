"""Retrainings by the queue: asked for one at a time, claimed, kept, ended once, handed on."""

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from facetag.db.engine import make_engine, transaction
from facetag.db.tables import RetrainingState
from facetag.errors import LeaseLost, RetrainingBusy, RetrainingEnded, RetrainingUnknown
from facetag.retraining import log_lines
from facetag.retraining.log_lines import append_lines, read_lines
from facetag.retraining.retraining_lease import (
    DEATHS,
    Ending,
    Place,
    claim_retraining,
    end_retraining,
    end_retraining_leases,
    find_unheard_retrainings,
    keep_claim,
    release_retraining,
    return_expired_retrainings,
)
from facetag.retraining.retraining_lock import hold_lock
from facetag.retraining.retraining_requests import (
    ask_retraining,
    cancel_retraining,
    find_open,
    find_retraining,
    list_retrainings,
    refuse_open,
)

pytestmark = pytest.mark.integration
TENANT = "local"
SHARDS = {"new": [{"name": "new.tar", "sha256": "ab" * 32}], "earlier": [], "tests": []}


@pytest.fixture
def ask(sessions):
    def ask(tenant_id=TENANT):
        with transaction(sessions) as session:
            return ask_retraining(session, SHARDS, {"replay": 0.3}, tenant_id=tenant_id).id

    return ask


@pytest.fixture
def claim(sessions):
    def claim(lease_s=60.0, tenant_id=TENANT):
        with transaction(sessions) as session:
            return claim_retraining(session, tenant_id=tenant_id, worker="w:1", lease_s=lease_s)

    return claim


@pytest.fixture
def row(sessions):
    def row(retraining_id=None):
        with transaction(sessions) as session:
            which = None if retraining_id is None else str(retraining_id)
            return find_retraining(session, which, tenant_id=TENANT)

    return row


@pytest.fixture
def die(sessions, claim):
    """Claim what waits, get as far as a step, and be silent until the lease has run out."""

    def die(step):
        held = claim()
        assert held is not None
        with transaction(sessions) as session:
            keep_claim(session, held, Place("Fitting", 1, step, 100), lease_s=-1.0)
            return return_expired_retrainings(session)

    return die


def change(sessions, what):
    with transaction(sessions) as session:
        session.execute(text(f"UPDATE retrainings SET {what}"))


def lines(sessions, retraining_id):
    with transaction(sessions) as session:
        return [line.text for line in read_lines(session, retraining_id)]


def test_a_second_one_is_refused_by_name_until_the_first_has_ended(ask, claim, sessions):
    first = ask()
    with pytest.raises(
        RetrainingBusy, match=f"{str(first)[:8]} has waited for a trainer worker since"
    ):
        ask()
    ask("another")
    held = claim()
    with pytest.raises(RetrainingBusy, match=f"{str(first)[:8]} has been running since"):
        ask()
    with transaction(sessions) as session:
        end_retraining(session, held, Ending(RetrainingState.FAILED, error="no"))
    assert ask() != first


def test_of_many_that_ask_at_once_one_is_taken(ask):
    taken, refused = [], []

    def try_it():
        try:
            taken.append(ask())
        except RetrainingBusy:
            refused.append(1)

    threads = [threading.Thread(target=try_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), len(refused)) == (1, 5)


def test_none_is_taken_while_one_runs_without_the_queue(ask, settings):
    engine = make_engine(settings)
    with hold_lock(engine, tenant_id=TENANT), pytest.raises(RetrainingBusy, match="Another"):
        ask()
    ask()
    engine.dispose()


def test_one_that_waits_or_runs_is_in_everybodys_way_but_its_own(ask, sessions):
    mine = ask()
    with transaction(sessions) as session:
        refuse_open(session, tenant_id=TENANT, but=mine)
        refuse_open(session, tenant_id="another")
        with pytest.raises(RetrainingBusy):
            refuse_open(session, tenant_id=TENANT)


def test_it_is_claimed_once_and_noted_how_far_it_is(ask, claim, sessions, row):
    ask()
    assert claim(tenant_id="another") is None
    held = claim()
    assert held.shards == SHARDS
    assert claim() is None
    with transaction(sessions) as session:
        assert keep_claim(session, held, Place("Fitting", 2, 30, 40), lease_s=60.0)
        # What is not said stays as it was.
        assert keep_claim(session, held, Place("Judging"), lease_s=60.0)
    found = row()
    assert (found.state, found.stage, found.epoch, found.step, found.steps) == (
        *("running", "Judging"),
        *(2, 30, 40),
    )


def test_its_end_is_recorded_once_and_not_by_who_lost_it(ask, claim, sessions, row):
    ask()
    first = claim(lease_s=-1.0)
    with transaction(sessions) as session:
        assert return_expired_retrainings(session) == 1
    second = claim()
    ending = Ending(RetrainingState.PROMOTED, "v2", {"holds": True, "against": "v1", "reasons": []})
    with transaction(sessions) as session:
        assert not keep_claim(session, first, Place(), lease_s=60.0)
        assert not release_retraining(session, first)
        with pytest.raises(LeaseLost):
            end_retraining(session, first, ending)
        end_retraining(session, second, ending)
        with pytest.raises(LeaseLost):
            end_retraining(session, second, ending)
    found = row()
    assert (found.state, found.version, found.verdict["against"]) == ("promoted", "v2", "v1")
    assert found.finished_at is not None
    assert claim() is None


def test_what_is_given_back_waits_its_time_unblamed(ask, claim, sessions, row):
    ask()
    held = claim()
    with transaction(sessions) as session:
        assert release_retraining(session, held, wait_s=3600.0)
    assert (row().state, row().deaths) == ("queued", 0)
    assert claim() is None
    with transaction(sessions) as session:
        assert find_unheard_retrainings(session, quiet_s=-1.0) == []
    change(sessions, "not_before = now()")
    assert claim() is not None


def test_a_live_lease_is_left_alone(ask, claim, sessions):
    ask()
    claim()
    with transaction(sessions) as session:
        assert return_expired_retrainings(session) == 0


def test_one_whose_worker_died_with_the_database_is_handed_on_at_once(ask, claim, sessions, row):
    ask()
    with transaction(sessions) as session:
        assert end_retraining_leases(session) == 0
    claim(lease_s=3600.0)
    with transaction(sessions) as session:
        assert end_retraining_leases(session) == 1
    with transaction(sessions) as session:
        assert return_expired_retrainings(session) == 1
    assert (row().state, row().deaths) == ("queued", 1)
    assert claim() is not None


def test_deaths_in_a_row_at_one_place_end_it_with_the_reason(ask, die, row, sessions):
    mine = ask()
    for _ in range(DEATHS - 1):
        assert die(0) == 1
        assert row().state == "queued"
    die(0)
    found = row()
    assert found.state == "failed"
    assert "in a row died or hung" in found.error
    assert found.finished_at is not None
    assert any("w:1 died or went silent" in line for line in lines(sessions, mine))
    assert found.error in lines(sessions, mine)


def test_deaths_of_one_that_goes_on_do_not_add_up(ask, die, row):
    ask()
    for step in (0, 0, 10, 10, 50, 50, 99):
        die(step)
        assert row().state == "queued"
    die(99)
    die(40)
    assert row().state == "failed"


def test_one_that_waits_unheard_is_rung_for_once_a_while(ask, claim, sessions):
    mine = ask()
    with transaction(sessions) as session:
        assert find_unheard_retrainings(session, quiet_s=3600.0) == []
        assert find_unheard_retrainings(session, quiet_s=-1.0) == [mine]
        assert find_unheard_retrainings(session, quiet_s=3600.0) == []
    claim()
    with transaction(sessions) as session:
        assert find_unheard_retrainings(session, quiet_s=-1.0) == []


def test_a_cancelled_one_ends_at_once_and_its_worker_can_record_nothing(ask, claim, sessions):
    mine = ask()
    held = claim()
    with transaction(sessions) as session:
        assert cancel_retraining(session, str(mine)[:8], tenant_id=TENANT).state == "cancelled"
    with transaction(sessions) as session:
        assert find_open(session, tenant_id=TENANT) is None
        assert not keep_claim(session, held, Place(), lease_s=60.0)
        with pytest.raises(LeaseLost):
            end_retraining(session, held, Ending(RetrainingState.CANDIDATE, "v2"))
        with pytest.raises(RetrainingEnded, match="has ended: cancelled"):
            cancel_retraining(session, None, tenant_id=TENANT)


def test_one_is_found_by_the_beginning_of_its_id_and_the_newest_without(ask, claim, sessions):
    with transaction(sessions) as session, pytest.raises(RetrainingUnknown, match="yet"):
        find_retraining(session, None, tenant_id=TENANT)
    first = ask()
    with transaction(sessions) as session:
        cancel_retraining(session, None, tenant_id=TENANT)
    second = ask()
    with transaction(sessions) as session:
        assert find_retraining(session, None, tenant_id=TENANT).id == second
        assert [row.id for row in list_retrainings(session, tenant_id=TENANT)] == [second, first]
        assert list_retrainings(session, tenant_id="other") == []
        assert find_retraining(session, str(first)[:13].upper(), tenant_id=TENANT).id == first
        with pytest.raises(RetrainingUnknown, match="Several"):
            find_retraining(session, "", tenant_id=TENANT)
        with pytest.raises(RetrainingUnknown, match="No retraining begins"):
            find_retraining(session, "%", tenant_id=TENANT)


def test_a_log_keeps_its_newest_lines_and_what_postgres_can_hold(ask, sessions, monkeypatch):
    mine = ask()
    monkeypatch.setattr(log_lines, "MOST_LINES", 3)
    with transaction(sessions) as session:
        append_lines(session, mine, ["a\0b", "x" * 5000], tenant_id=TENANT)
        append_lines(session, mine, ["c", "d\ud800"], tenant_id=TENANT)
        found = read_lines(session, mine)
        assert [line.text for line in found] == ["x" * 2000, "c", "d?"]
        assert [line.text for line in read_lines(session, mine, after=found[1].id)] == ["d?"]


def test_the_table_itself_holds_no_two_open_ones(ask, sessions):
    ask()
    with pytest.raises(IntegrityError, match="retrainings_one_open"), transaction(sessions) as link:
        link.execute(
            text(
                "INSERT INTO retrainings (id, tenant_id, shards, options) "
                "VALUES (gen_random_uuid(), 'local', '{}', '{}')"
            )
        )
