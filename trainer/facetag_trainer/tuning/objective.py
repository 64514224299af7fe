"""Run one trial: a cut-down fit with the values of an Optuna trial."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import optuna
from optuna.trial import Trial

from facetag_trainer.data.crop_cache import CropCache, cut_down
from facetag_trainer.fit.loop import fit, read_history
from facetag_trainer.fit.training_run import TrainingPlan, start_network
from facetag_trainer.tuning.search_space import TrialValues, suggest
from facetag_trainer.tuning.trial_watcher import TrialWatcher
from facetag_trainer.tuning.tuning_plan import TuningPlan


class Objective:
    """Fit a network with a trial's values; the trial's value is the best validation score."""

    def __init__(
        self, plan: TuningPlan, cache: CropCache, folder: Path, watcher: TrialWatcher | None = None
    ) -> None:
        self.plan = plan
        self.cache = cut_down(cache, plan.part)
        self.folder = folder
        self.watcher = watcher or TrialWatcher()

    def __call__(self, trial: Trial) -> float:
        """Return the least score of the epochs; raises TrialPruned if the trial falls behind.

        A retried trial resumes from its checkpoint if that is on this machine.
        """
        values = suggest(trial, self.plan.space)
        self.watcher.on_trial(trial.number, values)
        plan = self._training(values)
        run = self.folder / _digest(plan)
        for row in read_history(run):
            trial.report(row["score"], row["epoch"])
        keras.utils.clear_session()
        try:
            self._fit(trial, plan, run)
        except FloatingPointError as error:
            shutil.rmtree(run)
            raise optuna.TrialPruned(str(error)) from error
        except optuna.TrialPruned:
            shutil.rmtree(run)
            raise
        rows = read_history(run)
        best = min(rows, key=lambda row: row["score"])
        trial.set_user_attr("best_epoch", best)
        shutil.rmtree(run)
        return float(best["score"])

    def _training(self, values: TrialValues) -> TrainingPlan:
        samples = int((~self.cache.validation).sum())
        return self.plan.training(values, max(1, samples // values["batch_size"]))

    def _fit(self, trial: Trial, plan: TrainingPlan, run: Path) -> None:
        def on_epoch(row: dict[str, Any]) -> None:
            trial.report(row["score"], row["epoch"])
            self.watcher.on_epoch(trial.number, row)
            if row["epoch"] + 1 < plan.fit.epochs and trial.should_prune():
                raise optuna.TrialPruned(f"{row['score']:.3f} after epoch {row['epoch'] + 1}")

        fit(
            start_network(plan),
            plan.spec,
            self.cache,
            plan.fit,
            run,
            on_step=lambda progress: self.watcher.on_step(trial.number, progress),
            on_epoch=on_epoch,
        )


def _digest(plan: TrainingPlan) -> str:
    """Return the name of a trial's folder, which a retry with equal values has too."""
    text = json.dumps(plan.to_json(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
