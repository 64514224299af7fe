"""What a trainer worker does with a retraining that it claims, whatever becomes of the work."""

import time

import pytest
from pydantic import SecretStr

from facetag.db.engine import make_engine, make_sessions, transaction
from facetag.db.tables import RetrainingState
from facetag.errors import (
    ChampionChanged,
    DatabaseUnavailable,
    LeaseLost,
    RetrainingBusy,
    ShardRefused,
    StorageUnavailable,
)
from facetag.retraining.log_lines import append_lines, read_lines
from facetag.retraining.retraining_lease import Ending, claim_retraining, end_retraining
from facetag.retraining.retraining_requests import (
    ask_retraining,
    cancel_retraining,
    find_retraining,
)
from facetag.settings import Settings
from facetag_trainer.retraining import heartbeat, queue_task
from facetag_trainer.retraining.heartbeat import GIVEN_BACK, Keeper
from facetag_trainer.retraining.queue_task import Answering

pytestmark = pytest.mark.integration
SHARDS = {"new": [], "earlier": [], "tests": []}


@pytest.fixture
def asked(sessions):
    with transaction(sessions) as session:
        return ask_retraining(session, SHARDS, {}, tenant_id="local").id


@pytest.fixture
def found(sessions):
    """Return the newest retraining, and the lines of its log."""

    def found():
        with transaction(sessions) as session:
            row = find_retraining(session, None, tenant_id="local")
            return row, [line.text for line in read_lines(session, row.id)]

    return found


@pytest.fixture
def answer(settings):
    def answer(retrain, stopping=lambda: False):
        Answering(settings, stopping, retrain).answer()

    return answer


@pytest.fixture
def keep(sessions, asked):
    """Claim what was asked for, and make its keeper, whose thread does not run."""

    def keep(stopping=lambda: False):
        with transaction(sessions) as session:
            claim = claim_retraining(session, tenant_id="local", worker="w", lease_s=60.0)
        return claim, Keeper(sessions, claim, lease_s=60.0, stopping=stopping)

    return keep


def raising(error):
    def retrain(_shelf, _claim, keeper):
        keeper.say("began")
        raise error

    return retrain


def test_a_message_that_finds_nothing_does_nothing(answer):
    answer(raising(AssertionError("nothing waits")))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ShardRefused("it was learnt already"), "it was learnt already"),
        (OSError("full"), "OSError"),
    ],
)
def test_what_cannot_be_done_has_failed_with_the_reason(asked, answer, found, error, reason):
    answer(raising(error))
    row, log = found()
    assert row.state == "failed"
    assert reason in row.error
    assert log[-2:] == ["began", row.error]


@pytest.mark.parametrize("error", [ShardRefused("learnt already"), ChampionChanged()])
def test_lines_are_there_where_the_database_was_lost_as_they_were_written(
    asked, answer, found, monkeypatch, error
):
    faults = [DatabaseUnavailable("lost")]

    def append(*args, **kinds):
        append_lines(*args, **kinds)
        if faults:
            raise faults.pop()

    monkeypatch.setattr(queue_task, "append_lines", append)
    answer(raising(error))
    row, log = found()
    assert row.state in ("failed", "queued")
    assert log[-2] == "began"


@pytest.mark.parametrize(("error", "waits"), [(RetrainingBusy(), True), (ChampionChanged(), False)])
def test_what_is_in_the_way_of_another_goes_back_into_the_queue(asked, answer, found, error, waits):
    answer(raising(error))
    row, log = found()
    assert (row.state, row.deaths, row.claim_token) == ("queued", 0, None)
    assert (row.not_before is not None) == waits
    assert log[-1] == f"back in the queue: {error}"


def test_a_service_that_is_away_is_waited_for(asked, answer, found):
    faults = [StorageUnavailable("down"), DatabaseUnavailable("down too")]

    def retrain(shelf, claim, _keeper):
        if faults:
            raise faults.pop(0)
        with transaction(shelf.sessions) as session:
            end_retraining(session, claim, Ending(RetrainingState.CANDIDATE, "v2"))

    answer(retrain)
    row, _ = found()
    assert (row.state, row.version) == ("candidate", "v2")


def test_work_on_a_cancelled_one_ends_at_its_next_word(asked, answer, found, sessions, monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.05)
    words = []

    def retrain(_shelf, _claim, keeper):
        with transaction(sessions) as session:
            cancel_retraining(session, None, tenant_id="local")
        for number in range(600):
            keeper.note_step(1, number, 600)
            words.append(number)
            time.sleep(0.05)

    answer(retrain)
    row, _ = found()
    assert row.state == "cancelled"
    assert 0 < len(words) < 600


def test_a_worker_that_stops_gives_back_unblamed_and_its_work_ends(keep, found):
    _, keeper = keep(stopping=lambda: True)
    keeper.say("an epoch")
    keeper.beat()
    row, log = found()
    assert (row.state, row.deaths) == ("queued", 0)
    assert log[-2:] == ["an epoch", GIVEN_BACK]
    with pytest.raises(LeaseLost):
        keeper.note_step(1, 2, 3)
    with pytest.raises(LeaseLost):
        keeper.wait(0)


def test_a_beat_writes_what_was_said_once_and_how_far_it_is(keep, found):
    _, keeper = keep()
    with keeper.bar("Fitting", total=8) as bar:
        bar.set(4, note="loss 0.5")
    keeper.note_step(2, 5, 8)
    keeper.beat()
    keeper.beat()
    row, log = found()
    assert (row.stage, row.epoch, row.step, row.steps) == (
        *("Fitting: 4 of 8 images, loss 0.5", 2),
        *(5, 8),
    )
    assert log.count("Fitting") == 1


def test_what_is_said_while_postgres_is_away_is_kept_in_order(keep):
    claim, _ = keep()
    nowhere = Settings(database_url=SecretStr("postgresql://nobody@127.0.0.1:1/none"))
    keeper = Keeper(
        make_sessions(make_engine(nowhere)), claim, lease_s=60.0, stopping=lambda: False
    )
    keeper.say("first")
    keeper.say("second")
    with pytest.raises(DatabaseUnavailable):
        keeper.beat()
    assert keeper.take_lines() == ["first", "second"]
