"""Read the results of a study: its trials, the best one, and the importance of parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from facetag_trainer.evaluation.table_1_metrics import flatten
from facetag_trainer.tuning.search_space import Range, default_values
from facetag_trainer.tuning.studies import PLAN

FEWEST_FOR_IMPORTANCE = 4
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial."""

    number: int
    state: str
    value: float | None
    """Score of the best epoch, or of the last one if it was pruned; smaller is better."""
    best_so_far: float | None
    """Least value of the complete trials up to this one."""
    epochs: int
    values: Mapping[str, Any]
    measures: Mapping[str, float]
    """Table 1 of the best epoch, as `head_measure`."""
    retry_of: int | None


@dataclass(frozen=True, slots=True)
class Results:
    """The results of a study; `best` is None until a trial is complete."""

    name: str
    plan: Mapping[str, Any]
    space: tuple[Range, ...]
    trials: tuple[Tried, ...]
    importances: Mapping[str, float] | None
    """Shares of the score's variance per parameter (fANOVA); None with too few complete trials."""
    compute_s: float
    """Time of all trials, added up over all machines."""

    @property
    def best(self) -> Tried | None:
        """The complete trial with the least score."""
        complete = [one for one in self.trials if one.state == "complete"]
        return min(complete, key=lambda one: one.value or 0.0, default=None)

    @property
    def defaults(self) -> dict[str, Any]:
        """The values of the study's first trial."""
        return default_values(self.space)

    def count(self, *states: str) -> int:
        """Return how many trials are in these states."""
        return sum(one.state in states for one in self.trials)


def read_results(study: Study) -> Results:
    """Read a study's results."""
    plan = study.user_attrs[PLAN]
    trials, best = [], None
    for trial in study.get_trials(deepcopy=False):
        if trial.state == TrialState.COMPLETE and trial.value is not None:
            best = trial.value if best is None else min(best, trial.value)
        trials.append(_read_trial(trial, best))
    space = tuple(Range(**{**one, "choices": tuple(one["choices"])}) for one in plan["space"])
    spans = [one.duration for one in study.get_trials(deepcopy=False) if one.duration is not None]
    return Results(
        name=study.study_name,
        plan=plan,
        space=space,
        trials=tuple(trials),
        importances=_importances(study),
        compute_s=sum(span.total_seconds() for span in spans),
    )


def best_plan(results: Results) -> dict[str, Any]:
    """Return the best values as fields of `NetworkSpec` and `FitPlan`; none until there are any.

    Size and epochs are left out: a study's budget is smaller than that of a whole fit.
    """
    best, plan = results.best, results.plan
    if best is None:
        return {}
    fixed = {"backbone": plan["network"], "age_output": plan["age_output"]}
    return {**fixed, "frozen_layers": plan["frozen_layers"], **best.values}


def format_value(value: Any) -> str:
    """Return a parameter's value as a person reads it."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _read_trial(trial: FrozenTrial, best: float | None) -> Tried:
    row = trial.user_attrs.get("best_epoch", {})
    fixed = trial.system_attrs.get("fixed_params", {})
    return Tried(
        number=trial.number,
        state=STATES[trial.state],
        value=trial.value,
        best_so_far=best,
        epochs=len(trial.intermediate_values),
        values={**fixed, **trial.params},
        measures=flatten(row),
        retry_of=trial.system_attrs.get("failed_trial"),
    )


def _importances(study: Study) -> dict[str, float] | None:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    values = {trial.value for trial in complete}
    if len(complete) < FEWEST_FOR_IMPORTANCE or len(values) < 2:
        return None
    return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
