"""Correct a network's outputs by what its bundle states: temperatures, an age line, thresholds.

A temperature T divides the logits of a head (Guo et al., 2017, "On Calibration of Modern Neural
Networks"). It changes the confidence of a prediction, but never which label is likeliest. Fitting
on mixed images and on teachers' outputs draws ages towards the mean; the age line undoes this.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.heads import AGE, HEADS_BY_NAME

Values = npt.NDArray[np.float32]
SMALLEST = 1e-7
"""Probabilities are clipped to this distance from 0 and 1, so that every logit is finite."""


@dataclass(frozen=True, slots=True)
class AgeLine:
    """Map a predicted age to the reported one: offset + slope x age, at least 0 years."""

    offset: float = 0.0
    slope: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.offset) and 0 < self.slope < math.inf):
            raise ValueError(f"the age line needs a finite offset and a positive slope: {self}")

    def apply(self, ages: Values) -> Values:
        """Return the reported ages (n, 1) for ages that a network predicts."""
        if (self.offset, self.slope) == (0, 1):
            return ages
        moved: Values = np.maximum(np.float32(self.offset) + np.float32(self.slope) * ages, 0)
        return moved


@dataclass(frozen=True, slots=True)
class Calibration:
    """Hold a temperature and a threshold per head, by default 1 and none, and the age line."""

    temperatures: Mapping[str, float] = field(default_factory=dict)
    uncertain_below: Mapping[str, float] = field(default_factory=dict)
    age_line: AgeLine = AgeLine()
    uncertain_under_age: Mapping[str, float] = field(default_factory=dict)
    """Heads whose labels are uncertain for faces that are read as younger, however sure they seem:
    nobody can tell the gender of small children from their faces."""

    def __post_init__(self) -> None:
        if any(not 0 < value < float("inf") for value in self.temperatures.values()):
            raise ValueError(f"temperatures must be positive: {dict(self.temperatures)}")
        if any(not 0 <= value <= 1 for value in self.uncertain_below.values()):
            raise ValueError(f"a threshold must be in 0..1: {dict(self.uncertain_below)}")

    def apply(self, outputs: Mapping[str, Values]) -> dict[str, Values]:
        """Return the outputs (n, units) per head with calibrated probabilities and ages."""
        return {
            name: self.age_line.apply(values)
            if name == AGE.name
            else at_temperature(name, values, self.temperatures.get(name, 1.0))
            for name, values in outputs.items()
        }

    def uncertain_heads(
        self, top: Mapping[str, float], age: float | None = None
    ) -> list[str] | None:
        """Return the heads whose top calibrated probability is below the bundle's threshold.

        `top` holds that probability for each predicted head. Returns None if the bundle states no
        thresholds.
        """
        if not self.uncertain_below:
            return None
        return [
            name
            for name, value in top.items()
            if value < self.uncertain_below.get(name, 0.0)
            or (age is not None and age < self.uncertain_under_age.get(name, 0.0))
        ]

    @classmethod
    def from_json(cls, fields: Mapping[str, Any] | None) -> "Calibration":
        """Return the calibration that a manifest states; raises ValueError for invalid values."""
        fields = fields or {}
        return cls(
            {name: float(value) for name, value in fields.get("temperatures", {}).items()},
            {name: float(value) for name, value in fields.get("uncertain_below", {}).items()},
            AgeLine(**{name: float(value) for name, value in fields.get("age_line", {}).items()}),
            {name: float(age) for name, age in fields.get("uncertain_under_age", {}).items()},
        )


def at_temperature(head: str, values: Values, temperature: float) -> Values:
    """Return a head's probabilities (n, units) after dividing their logits by the temperature."""
    if temperature == 1:
        return values
    return _from_logits(head, to_logits(head, values) / temperature)


def mean_reading(head: str, one: Values, other: Values) -> Values:
    """Return the mean of two predictions (n, units) for the same faces, over ages or over logits.

    A confident prediction counts for more in a mean of logits than in a mean of probabilities.
    """
    if HEADS_BY_NAME[head].kind == "regression":
        return np.asarray((one + other) / 2, np.float32)
    return _from_logits(head, (to_logits(head, one) + to_logits(head, other)) / 2)


def to_logits(head: str, values: Values) -> npt.NDArray[np.float64]:
    """Return the logits (n, 1) of a binary head, or a categorical one's logarithms (n, units)."""
    clipped = np.clip(values.astype(np.float64), SMALLEST, 1 - SMALLEST)
    logits: npt.NDArray[np.float64] = np.log(clipped)
    return logits - np.log(1 - clipped) if HEADS_BY_NAME[head].kind == "binary" else logits


def _from_logits(head: str, logits: npt.NDArray[np.float64]) -> Values:
    if HEADS_BY_NAME[head].kind == "binary":
        return (1 / (1 + np.exp(-logits))).astype(np.float32)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def top_probability(head: str, values: Values) -> Values:
    """Return the probability (n,) of the likeliest label, from a head's outputs (n, units)."""
    if HEADS_BY_NAME[head].kind == "binary":
        return np.maximum(values[:, 0], 1 - values[:, 0])
    return np.asarray(values.max(axis=1), np.float32)
