"""Measure treatments of class imbalance by accuracy, macro F1 and the recall of each label."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.heads import HEADS_BY_NAME
from facetag_trainer.evaluation.bootstrap import Weights, central_interval, draw_beside_all
from facetag_trainer.evaluation.calibration_error import chosen_labels
from facetag_trainer.evaluation.weighted_metrics import measure_guesses, measure_recalls

HeadOutputs = npt.NDArray[np.float32]
LabelCodes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure's mean over the fits, its spread, and a 95% confidence interval."""

    value: float | None
    """None if it is undefined, as the recall of a label that no judged image has."""
    spread: float | None
    """Standard deviation over the fits; None for a single fit."""
    interval: tuple[float, float] | None
    """Bootstrap over images, for the mean of these fits; None with too few images."""

    def to_json(self) -> dict[str, Any]:
        """Return the figure as results state it."""
        interval = self.interval and list(self.interval)
        return {"value": self.value, "spread": self.spread, "interval": interval}


Figures = dict[str, Figure]
Drawn = dict[str, npt.NDArray[np.float64]]
"""Values (fits, 1 + rounds) per measure: of all images, then of each bootstrap round."""


def draw_measures(head: str, truth: LabelCodes, fits: Sequence[HeadOutputs]) -> Drawn:
    """Return the measures of each fit's outputs (n, units), on the same bootstrap draws for all."""
    classes = len(HEADS_BY_NAME[head].labels)
    weights = draw_beside_all(len(truth), "judged")
    rows: list[dict[str, Weights]] = []
    for outputs in fits:
        guess = chosen_labels(head, outputs)
        recalls = measure_recalls(truth, guess, classes, weights)
        rows.append(
            {
                **measure_guesses(truth, guess, classes, weights),
                **dict(zip(recall_names(head), recalls, strict=True)),
            }
        )
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def recall_names(head: str) -> list[str]:
    """Return the names of the recalls, in the order of the head's labels."""
    return [f"recall_{label}" for label in HEADS_BY_NAME[head].labels]


def summarise(drawn: Drawn) -> Figures:
    """Return each measure's figure over the fits."""
    return {name: _figure(values, values.mean(axis=0)) for name, values in drawn.items()}


def compare(drawn: Drawn, other: Drawn) -> Figures:
    """Return the gain of each measure over the other's, on the same bootstrap draws.

    The fits are not paired, so a difference has no spread.
    """
    return {
        name: _figure(values[:1], values.mean(axis=0) - other[name].mean(axis=0))
        for name, values in drawn.items()
    }


def _figure(fits: npt.NDArray[np.float64], mean: npt.NDArray[np.float64]) -> Figure:
    value = None if np.isnan(mean[0]) else float(mean[0])
    spread = float(fits[:, 0].std(ddof=1)) if len(fits) > 1 and value is not None else None
    return Figure(value, spread, central_interval(mean[1:]) if len(mean) > 1 else None)
