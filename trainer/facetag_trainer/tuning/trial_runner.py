"""Run trials of a study one after the other, until all machines together have run enough."""

import time
from collections.abc import Callable
from contextlib import ExitStack

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import Trial, TrialState

from facetag_trainer.tuning.studies import (
    StudyStorage,
    fail_stale,
    queue_again,
    take_turn,
    translated_errors,
)
from facetag_trainer.tuning.trial_watcher import TrialWatcher

POLL_S = 5.0
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


def run_trials(
    study: Study,
    storage: StudyStorage,
    objective: Callable[[Trial], float],
    trials: int,
    *,
    timeout_s: float | None = None,
    watcher: TrialWatcher | None = None,
    poll_s: float = POLL_S,
) -> None:
    """Run trials until `trials` of the study have ended, here or on other machines.

    If the last ones run on other machines, wait for their end, since a trial that dies is tried
    again. After `timeout_s` no trial is begun or waited for. A KeyboardInterrupt queues the running
    trial again.
    """
    watcher = watcher or TrialWatcher()
    end = None if timeout_s is None else time.monotonic() + timeout_s
    waited_for = 0
    while end is None or time.monotonic() < end:
        with translated_errors():
            if _run_next(study, storage, objective, trials, watcher):
                waited_for = 0
                continue
            running = len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
            if len(study.get_trials(deepcopy=False, states=ENDED)) >= trials:
                return
        if running != waited_for:
            waited_for = running
            watcher.on_wait(running)
        time.sleep(poll_s)


def _run_next(
    study: Study,
    storage: StudyStorage,
    objective: Callable[[Trial], float],
    trials: int,
    watcher: TrialWatcher,
) -> bool:
    """Run a trial; return False instead if enough trials have ended or run."""
    attempt = _Attempt(objective, storage)
    with ExitStack() as turn:
        turn.enter_context(take_turn(storage))
        fail_stale(study)
        begun = study.get_trials(deepcopy=False, states=(*ENDED, TrialState.RUNNING))
        if len(begun) >= trials:
            return False
        attempt.turn = turn
        try:
            study.optimize(attempt, n_trials=1)
        except KeyboardInterrupt:
            if attempt.number is not None:
                queue_again(study, attempt.number)
            raise
        except (ValueError, UpdateFinishedTrialError):
            if attempt.failed or attempt.number is None:
                raise
            # It was silent for too long, so another machine has queued it again.
            watcher.on_end(attempt.number, "sent no heartbeat for too long, and was queued again")
            return True
    ended = study.trials[attempt.number or 0]
    words = f"{ended.state.name.lower()}" + ("" if ended.value is None else f" {ended.value:.4f}")
    watcher.on_end(ended.number, words)
    return True


class _Attempt:
    """An objective that lets other machines begin trials once its own has a heartbeat."""

    def __init__(self, objective: Callable[[Trial], float], storage: StudyStorage) -> None:
        self.number: int | None = None
        self.failed = False
        self.turn: ExitStack | None = None
        self._objective = objective
        self._storage = storage

    def __call__(self, trial: Trial) -> float:
        self.number = trial.number
        # Optuna's thread may be late, and nobody would notice a trial that dies before its first
        # heartbeat.
        self._storage.record_heartbeat(trial._trial_id)
        if self.turn is not None:
            self.turn.close()
        try:
            return self._objective(trial)
        except (optuna.TrialPruned, UpdateFinishedTrialError):
            raise
        except Exception:
            self.failed = True
            raise
