"""Compute all measures for many weightings of the images at once, for the bootstrap.

Every function takes labels (n,), outputs (n, units) and weights (b, n) without an all-zero row, and
returns one value per weighting, (b,), NaN where it is undefined. With weights of 1 the values equal
those of scikit-learn in `table_1_metrics`.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from facetag.heads import HEADS_BY_NAME
from facetag.vision.network.age_range import AgeRange
from facetag_trainer.evaluation.calibration_error import calibration_error, chosen_labels

Values = npt.NDArray[np.float32]
Weights = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


def measure_head(
    head: str, truth: Values, output: Values, weights: Weights, age_range: AgeRange | None = None
) -> dict[str, Weights]:
    """Return all measures of a head by field; no label may be NaN."""
    kinds: Mapping[str, Callable[..., dict[str, Weights]]] = {
        "regression": _regression,
        "binary": _binary,
        "categorical": _categorical,
    }
    measures = kinds[HEADS_BY_NAME[head].kind](truth, output, weights)
    if HEADS_BY_NAME[head].kind != "regression":
        measures["ece"] = calibration_error(head, truth, output, weights)
    elif age_range is not None:
        measures["coverage"] = _mean(age_range.covers(output[:, 0], truth), weights)
    return measures


def measure_main(head: str, truth: Values, output: Values, weights: Weights) -> Weights:
    """Return a head's main measure (see `table_measures.MAIN`), as `measure_head` gives it.

    It is much faster than all measures, since it sorts nothing.
    """
    if HEADS_BY_NAME[head].kind == "regression":
        error = (output[:, 0] - truth).astype(np.float64)
        return np.sqrt(_mean(error**2, weights))
    return _mean(chosen_labels(head, output) == truth, weights)


def _regression(truth: Values, output: Values, weights: Weights) -> dict[str, Weights]:
    error = (output[:, 0] - truth).astype(np.float64)
    return {
        "rmse": np.sqrt(_mean(error**2, weights)),
        "mae": _mean(np.abs(error), weights),
        "cs5": _mean(np.abs(error) <= 5, weights),
        "bias": _mean(error, weights),
    }


def _binary(truth: Values, output: Values, weights: Weights) -> dict[str, Weights]:
    positive, guess = truth == 1, output[:, 0] >= 0.5
    hits, wrong = weights @ (positive & guess), weights @ (guess & ~positive)
    missed = weights @ (positive & ~guess)
    return {
        "accuracy": _mean(positive == guess, weights),
        # 0 without a positive label or prediction, as in Table 1 (zero_division=0).
        "f1": np.nan_to_num(_ratio(2 * hits, 2 * hits + wrong + missed)),
        "precision": np.nan_to_num(_ratio(hits, hits + wrong)),
        "recall": np.nan_to_num(_ratio(hits, hits + missed)),
        "auc": _area_under_roc(positive, output[:, 0], weights),
    }


def _categorical(truth: Values, output: Values, weights: Weights) -> dict[str, Weights]:
    return measure_guesses(truth.astype(int), output.argmax(axis=1), output.shape[1], weights)


def measure_guesses(
    labels: Codes, guess: Codes, classes: int, weights: Weights
) -> dict[str, Weights]:
    """Return accuracy and macro F1 of predicted codes (n,)."""
    columns = []
    for code in range(classes):
        hits = weights @ ((labels == code) & (guess == code))
        named = weights @ (labels == code).astype(float) + weights @ (guess == code).astype(float)
        columns.append(_ratio(2 * hits, named))
    # A class that is neither labelled nor predicted has no F1 and is skipped.
    return {
        "accuracy": _mean(labels == guess, weights),
        "macro_f1": np.nanmean(np.stack(columns), axis=0),
    }


def measure_recalls(labels: Codes, guess: Codes, classes: int, weights: Weights) -> list[Weights]:
    """Return the recall of each class; NaN where no image of the class is drawn."""
    recalls = []
    for code in range(classes):
        members = labels == code
        recalls.append(_ratio(weights @ (members & (guess == code)), weights @ members))
    return recalls


def _area_under_roc(positive: npt.NDArray[np.bool_], score: Values, weights: Weights) -> Weights:
    """Return the share of pairs whose positive scores higher, ties as halves (Mann-Whitney)."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])
    drawn, is_positive = weights[:, order], positive[order]
    positives = np.add.reduceat(drawn * is_positive, starts, axis=1)
    negatives = np.add.reduceat(drawn * ~is_positive, starts, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives / 2
    return _ratio((positives * below).sum(axis=1), positives.sum(axis=1) * negatives.sum(axis=1))


def _mean(values: npt.NDArray[np.generic], weights: Weights) -> Weights:
    return np.asarray(weights @ values.astype(np.float64) / weights.sum(axis=1))


def _ratio(part: Weights, whole: Weights) -> Weights:
    """Return part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
