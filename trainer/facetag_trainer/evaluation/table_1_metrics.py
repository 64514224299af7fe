"""Compute the measures of the paper's Table 1 from labels and a network's outputs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics

from facetag.heads import HEADS_BY_NAME
from facetag.vision.network.age_range import AgeRange
from facetag_trainer.evaluation.calibration_error import calibration_error

Values = npt.NDArray[np.float32]


def table_1(
    labels: Mapping[str, Values], outputs: Mapping[str, Values]
) -> dict[str, dict[str, float | None]]:
    """Return the measures per head; labels (n,) may hold NaN, outputs are (n, units).

    Female is the positive class of gender. The AUC is None if all images have the same gender. A
    head without a known label is left out.
    """
    measures = {"regression": _regression, "binary": _binary, "categorical": _categorical}
    table = {}
    for name, output in outputs.items():
        known = ~np.isnan(labels[name])
        if known.any():
            measure = measures[HEADS_BY_NAME[name].kind]
            table[name] = measure(labels[name][known], np.asarray(output)[known])
    return table


def measure_heads(
    labels: Mapping[str, Values],
    outputs: Mapping[str, Values],
    age_range: AgeRange | None,
) -> dict[str, Any]:
    """Return Table 1 with how well probabilities and ranges hold: `ece` and `coverage`."""
    table: dict[str, Any] = table_1(labels, outputs)
    for name, row in table.items():
        known = ~np.isnan(labels[name])
        truth, output = labels[name][known], outputs[name][known]
        if HEADS_BY_NAME[name].kind == "regression":
            if age_range is not None:
                row["coverage"] = float(age_range.covers(output[:, 0], truth).mean())
        else:
            row["ece"] = float(calibration_error(name, truth, output, np.ones((1, len(truth))))[0])
    return table


def _regression(truth: Values, output: Values) -> dict[str, float | None]:
    error = output[:, 0] - truth
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "cs5": float(np.mean(np.abs(error) <= 5)),
    }


def _binary(truth: Values, output: Values) -> dict[str, float | None]:
    truth, probability = truth.astype(int), output[:, 0]
    guess = (probability >= 0.5).astype(int)
    one_class = len(np.unique(truth)) < 2
    return {
        "accuracy": float(metrics.accuracy_score(truth, guess)),
        "f1": float(metrics.f1_score(truth, guess, zero_division=0)),
        "precision": float(metrics.precision_score(truth, guess, zero_division=0)),
        "recall": float(metrics.recall_score(truth, guess, zero_division=0)),
        "auc": None if one_class else float(metrics.roc_auc_score(truth, probability)),
    }


def _categorical(truth: Values, output: Values) -> dict[str, float | None]:
    truth, guess = truth.astype(int), output.argmax(axis=1)
    return {
        "accuracy": float(metrics.accuracy_score(truth, guess)),
        "macro_f1": float(metrics.f1_score(truth, guess, average="macro", zero_division=0)),
    }


def flatten(table: Mapping[str, Any]) -> dict[str, float]:
    """Return the measures as one flat mapping, keys `head_measure`; None is left out."""
    return {
        f"{head}_{name}": value
        for head, row in table.items()
        if isinstance(row, Mapping)
        for name, value in row.items()
        if value is not None
    }
