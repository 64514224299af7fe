"""Compute the results of an evaluation: Table 1, intervals, groups, and curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics

from facetag.heads import HEADS_BY_NAME
from facetag.vision.network.age_range import AgeRange
from facetag_trainer.evaluation.bundle_evaluation import Evaluation
from facetag_trainer.evaluation.calibration_error import Bin, chosen_labels, reliability
from facetag_trainer.evaluation.group_measures import Group, measure_groups, worst_groups
from facetag_trainer.evaluation.table_1_metrics import table_1

Values = npt.NDArray[np.float32]
EXTRA = ("coverage", "ece")
"""Measures that `facetag evaluate` prints besides those of Table 1."""


@dataclass(frozen=True, slots=True)
class EvaluationResults:
    """The results on one set of images: groups (all images first), and curves per head."""

    n: int
    table_1: dict[str, dict[str, float | None]]
    groups: list[Group]
    confusion: dict[str, npt.NDArray[np.int64]]
    """Images by label (rows) and predicted label (columns)."""
    roc: dict[str, list[tuple[float, float]]]
    """False and true positive rates by `head: label`."""
    reliability: dict[str, list[Bin]]

    def table(self) -> dict[str, Any]:
        """Return `n`, Table 1 with the calibration error and coverage, and 95% intervals."""
        everybody = self.groups[0].measures
        heads = {
            head: {
                **row,
                **{name: everybody[head][name].value for name in EXTRA if name in everybody[head]},
            }
            for head, row in self.table_1.items()
        }
        intervals = {
            head: {name: everybody[head][name].to_json()["interval"] for name in row}
            for head, row in heads.items()
        }
        return {"n": self.n, **heads, "intervals": intervals}

    def worst(self) -> dict[str, dict[str, Any]]:
        """Return the worst group per head; see `groups.worst_groups`."""
        return worst_groups(self.groups)


def measure_evaluation(
    evaluation: Evaluation, among: npt.NDArray[np.bool_] | None = None
) -> EvaluationResults:
    """Measure all images of an evaluation, or only those of the mask `among` (n,)."""
    keep = np.ones(len(evaluation.samples), bool) if among is None else among
    labels = {name: values[keep] for name, values in evaluation.labels.items()}
    outputs = {name: values[keep] for name, values in evaluation.outputs.items()}
    return measure_outputs(labels, outputs, evaluation.age_range)


def measure_outputs(
    labels: Mapping[str, Values], outputs: Mapping[str, Values], age_range: AgeRange | None = None
) -> EvaluationResults:
    """Measure labels (n,), NaN where missing, against outputs (n, units), per head."""
    roc: dict[str, list[tuple[float, float]]] = {}
    confusion, bins = {}, {}
    for head, output in outputs.items():
        known = ~np.isnan(labels[head])
        if HEADS_BY_NAME[head].kind == "regression" or not known.any():
            continue
        truth, values = labels[head][known], output[known]
        size = len(HEADS_BY_NAME[head].labels)
        confusion[head] = metrics.confusion_matrix(
            truth.astype(int), chosen_labels(head, values), labels=range(size)
        )
        roc |= _curves(head, truth, values)
        bins[head] = reliability(head, truth, values)
    return EvaluationResults(
        n=len(next(iter(labels.values()))),
        table_1=table_1(labels, outputs),
        groups=measure_groups(labels, outputs, age_range),
        confusion=confusion,
        roc=roc,
        reliability=bins,
    )


def results_json(
    all_images: EvaluationResults, without_twins: EvaluationResults | None = None
) -> dict[str, Any]:
    """Return the output of `facetag evaluate --format json`."""
    table = {**all_images.table(), "worst_groups": all_images.worst()}
    if without_twins is not None:
        table["without_twins"] = {
            **without_twins.table(),
            "worst_groups": without_twins.worst(),
        }
    return table


def _curves(head: str, truth: Values, output: Values) -> dict[str, list[tuple[float, float]]]:
    """Return the ROC curve of the positive label, or of each label against the others."""
    labels: Sequence[str] = HEADS_BY_NAME[head].labels
    binary = HEADS_BY_NAME[head].kind == "binary"
    curves = {}
    for code, label in enumerate(labels):
        if binary and code == 0:
            continue
        positive = truth == code
        if positive.all() or not positive.any():
            continue
        false, true, _ = metrics.roc_curve(positive, output[:, 0 if binary else code])
        curves[f"{head}: {label}"] = list(zip(false.tolist(), true.tolist(), strict=True))
    return curves
