"""How many trials run, and what becomes of those that are stopped, lost or in doubt."""

import subprocess
import sys
import threading
import time

import optuna
import pytest
from optuna.storages import _heartbeat
from optuna.trial import TrialState
from sqlalchemy import text

from facetag_trainer.tuning.studies import open_storage, open_study
from facetag_trainer.tuning.trial_runner import run_trials
from facetag_trainer.tuning.trial_watcher import TrialWatcher

PLAN = {"digest": "ab12"}


@pytest.fixture
def storage(tmp_path):
    return open_storage(f"sqlite:///{tmp_path}/studies.db", heartbeat_s=1, grace_s=2)


@pytest.fixture
def study(storage):
    return open_study(storage, "s", PLAN, first={"x": 0.5})


def square(trial):
    return trial.suggest_float("x", 0, 1) ** 2


def states(study):
    return [trial.state for trial in study.trials]


def test_trials_run_until_the_study_has_as_many(study, storage):
    run_trials(study, storage, square, 3)
    assert states(study) == [TrialState.COMPLETE] * 3
    assert study.trials[0].value == 0.25


def test_run_again_it_goes_on_with_what_is_missing(study, storage):
    run_trials(study, storage, square, 2)
    run_trials(study, storage, square, 5)
    run_trials(study, storage, square, 5)
    assert len(study.trials) == 5


def test_a_trial_is_known_to_live_before_it_does_anything(study, storage, monkeypatch):
    monkeypatch.setattr(_heartbeat, "HeartbeatThread", lambda *_: _heartbeat.NullHeartbeatThread())
    beats = []

    def count(trial):
        with storage.engine.connect() as link:
            beats.append(link.execute(text("SELECT count(*) FROM trial_heartbeats")).scalar())
        return square(trial)

    run_trials(study, storage, count, 2)
    assert beats == [1, 2]


def test_pruned_trials_count(study, storage):
    def prune(trial):
        trial.suggest_float("x", 0, 1)
        raise optuna.TrialPruned

    run_trials(study, storage, prune, 3)
    assert states(study) == [TrialState.PRUNED] * 3


def test_ctrl_c_queues_the_trial_that_runs_and_it_is_run_first(study, storage):
    values = []

    def stop_at_the_second(trial):
        values.append(trial.suggest_float("x", 0, 1))
        if trial.number == 1:
            raise KeyboardInterrupt
        return values[-1]

    with pytest.raises(KeyboardInterrupt):
        run_trials(study, storage, stop_at_the_second, 3)
    assert states(study) == [TrialState.COMPLETE, TrialState.FAIL, TrialState.WAITING]
    run_trials(study, storage, square, 3)
    ended = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert len(ended) == 3
    assert ended[1].params["x"] == values[1]


def test_a_fault_of_the_fit_is_raised_and_its_trial_is_not_tried_again(study, storage):
    def fail(trial):
        trial.suggest_float("x", 0, 1)
        raise ValueError("no such layer")

    with pytest.raises(ValueError, match="no such layer"):
        run_trials(study, storage, fail, 3)
    assert states(study) == [TrialState.FAIL]


def test_no_trial_begins_after_the_timeout(study, storage):
    def slow(trial):
        time.sleep(0.3)
        return square(trial)

    run_trials(study, storage, slow, 100, timeout_s=0.2)
    assert len(study.trials) == 1


def test_the_last_trials_that_run_elsewhere_are_waited_for(study, storage):
    trial, waited = study.ask(), []
    storage.record_heartbeat(trial._trial_id)

    def finish():
        square(trial)
        study.tell(trial, 1.0)

    def on_wait(running):
        waited.append(running)
        threading.Timer(0.3, finish).start()

    run_trials(study, storage, square, 1, poll_s=0.1, watcher=TrialWatcher(on_wait=on_wait))
    assert waited == [1]
    assert [one.value for one in study.trials] == [1.0]


def test_waiting_ends_with_the_timeout(study, storage):
    storage.record_heartbeat(study.ask()._trial_id)
    run_trials(study, storage, square, 1, poll_s=0.1, timeout_s=0.5)
    assert states(study) == [TrialState.RUNNING]


def test_a_trial_that_died_elsewhere_is_tried_again_with_its_values(study, storage):
    dead = study.ask()
    square(dead)
    storage.record_heartbeat(dead._trial_id)
    begun = time.monotonic()
    run_trials(study, storage, square, 1, poll_s=0.1)
    assert time.monotonic() - begun > 1
    assert states(study) == [TrialState.FAIL, TrialState.COMPLETE]
    assert study.trials[1].params == study.trials[0].params == {"x": 0.5}


def test_a_trial_taken_for_dead_gives_way_to_its_retry(study, storage):
    told = []

    def sleepy(trial):
        value = square(trial)
        if trial.number == 0:
            # Another machine marks it as failed; here the process only slept.
            storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
            trial.report(value, 0)
        return value

    run_trials(
        study,
        storage,
        sleepy,
        1,
        watcher=TrialWatcher(on_end=lambda number, words: told.append((number, words))),
    )
    assert states(study) == [TrialState.FAIL, TrialState.COMPLETE]
    assert told[0] == (0, "sent no heartbeat for too long, and was queued again")


def test_the_end_of_each_trial_is_told_with_its_score(study, storage):
    told = []
    run_trials(
        study, storage, square, 1, watcher=TrialWatcher(on_end=lambda *words: told.append(words))
    )
    assert told == [(0, "complete 0.2500")]


def test_trials_are_run_without_loading_what_fits_them():
    program = (
        "import sys, facetag_trainer.tuning.trial_runner; "
        "print([name for name in ('keras', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
