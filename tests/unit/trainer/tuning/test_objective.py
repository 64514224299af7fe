"""One trial: what is fitted, reported, pruned, and what a retry goes on with."""

import optuna
import pytest

from facetag_trainer.fit.loop import read_history
from facetag_trainer.tuning.objective import Objective
from facetag_trainer.tuning.trial_watcher import TrialWatcher
from facetag_trainer.tuning.tuning_plan import TuningPlan
from tests.unit.trainer.tiny_caches import write_tiny_cache

PLAN = TuningPlan("tiny", size=32, part=0.8, epochs=3)
VALUES = {
    "learning_rate": 0.005,
    "weight_decay": 0.01,
    "dropout": 0.2,
    "hidden_units": 64,
    "batch_size": 16,
    "label_smoothing": 0.0,
    "age_weight": 10.0,
    "mixup": 0.0,
}
pytestmark = pytest.mark.timeout(300)


class AlwaysPrune(optuna.pruners.BasePruner):
    def prune(self, study, trial):  # noqa: ARG002
        return True


@pytest.fixture
def cache(tmp_path):
    return write_tiny_cache(tmp_path / "cache", count=160, held_out=40)


def study_with(values=VALUES, pruner=None):
    study = optuna.create_study(pruner=pruner or optuna.pruners.NopPruner())
    study.enqueue_trial(values)
    return study


def test_a_trial_is_worth_its_best_epoch_and_reports_each(tmp_path, cache):
    rows = []
    watcher = TrialWatcher(on_epoch=lambda number, row: rows.append(row))
    study = study_with()
    study.optimize(Objective(PLAN, cache, tmp_path / "run", watcher), n_trials=1)
    (trial,) = study.trials
    scores = [row["score"] for row in rows]
    assert trial.params == VALUES
    assert trial.intermediate_values == dict(enumerate(scores))
    assert len(scores) == 3
    assert trial.value == min(scores)
    assert trial.user_attrs["best_epoch"] in rows
    assert trial.user_attrs["best_epoch"]["score"] == trial.value


def test_steps_are_told_and_nothing_is_left_on_disk(tmp_path, cache):
    steps, begun = [], []
    watcher = TrialWatcher(
        on_trial=lambda number, values: begun.append((number, values)),
        on_step=lambda number, progress: steps.append(progress),
    )
    objective = Objective(PLAN, cache, tmp_path / "run", watcher)
    study_with().optimize(objective, n_trials=1)
    fitted = int((~objective.cache.validation).sum())
    assert fitted < 120
    assert len(steps) == 3 * (fitted // 16)
    assert begun == [(0, VALUES)]
    assert list((tmp_path / "run").iterdir()) == []


def test_a_trial_that_falls_behind_is_pruned_before_its_end_and_leaves_nothing(tmp_path, cache):
    study = study_with(pruner=AlwaysPrune())
    study.optimize(Objective(PLAN, cache, tmp_path / "run"), n_trials=1)
    (trial,) = study.trials
    assert trial.state == optuna.trial.TrialState.PRUNED
    assert list(trial.intermediate_values) == [0]
    assert list((tmp_path / "run").iterdir()) == []


def test_the_last_epoch_prunes_nothing(tmp_path, cache):
    study = study_with(pruner=AlwaysPrune())
    plan = TuningPlan("tiny", size=32, part=0.8, epochs=1)
    study.optimize(Objective(plan, cache, tmp_path / "run"), n_trials=1)
    assert study.trials[0].state == optuna.trial.TrialState.COMPLETE


def test_a_fit_whose_loss_is_no_number_counts_as_pruned(tmp_path):
    import numpy as np

    cache = write_tiny_cache(tmp_path / "cache", labels={"age": np.full(60, 1e30)})
    study = study_with()
    plan = TuningPlan("tiny", size=32, part=0.8, epochs=1, age_output="value")
    study.optimize(Objective(plan, cache, tmp_path / "run"), n_trials=1)
    (trial,) = study.trials
    assert (trial.state, trial.value) == (optuna.trial.TrialState.PRUNED, None)
    assert list((tmp_path / "run").iterdir()) == []


def test_an_interrupted_trial_goes_on_from_its_checkpoint_when_it_is_tried_again(tmp_path, cache):
    undisturbed = study_with()
    undisturbed.optimize(Objective(PLAN, cache, tmp_path / "whole"), n_trials=1)

    def stop(number, row):
        if row["epoch"] == 1:
            raise KeyboardInterrupt

    study, seen = study_with(), []
    with pytest.raises(KeyboardInterrupt):
        study.optimize(
            Objective(PLAN, cache, tmp_path / "run", TrialWatcher(on_epoch=stop)), n_trials=1
        )
    (folder,) = (tmp_path / "run").iterdir()
    assert [row["epoch"] for row in read_history(folder)] == [0, 1]
    study.enqueue_trial(VALUES)
    watcher = TrialWatcher(on_epoch=lambda number, row: seen.append(row["epoch"]))
    study.optimize(Objective(PLAN, cache, tmp_path / "run", watcher), n_trials=1)
    assert seen == [2]
    again = study.trials[1]
    assert again.intermediate_values == pytest.approx(
        undisturbed.trials[0].intermediate_values, rel=1e-4
    )


def test_equal_values_are_worth_the_same(tmp_path, cache):
    study = study_with()
    study.enqueue_trial(VALUES)
    study.optimize(Objective(PLAN, cache, tmp_path / "run"), n_trials=2)
    assert study.trials[0].value == pytest.approx(study.trials[1].value, rel=1e-4)
