"""What a bundle knows of its own errors: temperatures, a line through ages, uncertain labels.

A temperature T divides the logits of a head (Guo et al., 2017, "On Calibration of Modern Neural
Networks"): it changes how sure the network says it is, and never which label is likeliest. The line
undoes that ages are drawn towards the mean by what a network is fitted with: mixed images, the
answers of teachers.
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
"""Probabilities are held off 0 and 1 by this much, so that every logit is finite."""


@dataclass(frozen=True, slots=True)
class AgeLine:
    """What results state where a network says `age`: offset + slope x age, and 0 years at least."""

    offset: float = 0.0
    slope: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.offset) and 0 < self.slope < math.inf):
            raise ValueError(f"no line through ages: {self}")

    def apply(self, ages: Values) -> Values:
        """Return years (n, 1) for those that a network gives."""
        if (self.offset, self.slope) == (0, 1):
            return ages
        moved: Values = np.maximum(np.float32(self.offset) + np.float32(self.slope) * ages, 0)
        return moved


@dataclass(frozen=True, slots=True)
class Calibration:
    """Temperatures and thresholds a head; a head that is not named has temperature 1 and none."""

    temperatures: Mapping[str, float] = field(default_factory=dict)
    uncertain_below: Mapping[str, float] = field(default_factory=dict)
    age_line: AgeLine = AgeLine()

    def __post_init__(self) -> None:
        if any(not 0 < value < float("inf") for value in self.temperatures.values()):
            raise ValueError(f"a temperature is not positive: {dict(self.temperatures)}")
        if any(not 0 <= value <= 1 for value in self.uncertain_below.values()):
            raise ValueError(f"a threshold is no probability: {dict(self.uncertain_below)}")

    def apply(self, outputs: Mapping[str, Values]) -> dict[str, Values]:
        """Return a network's outputs (n, units) a head with calibrated probabilities and ages."""
        return {
            name: self.age_line.apply(values)
            if name == AGE.name
            else at_temperature(name, values, self.temperatures.get(name, 1.0))
            for name, values in outputs.items()
        }

    def uncertain_heads(self, top: Mapping[str, float]) -> list[str] | None:
        """Return the heads whose top calibrated probability is under the bundle's threshold.

        `top` holds that probability a head that was predicted. None where no threshold is stated.
        """
        if not self.uncertain_below:
            return None
        return [name for name, value in top.items() if value < self.uncertain_below.get(name, 0.0)]

    @classmethod
    def from_json(cls, fields: Mapping[str, Any] | None) -> "Calibration":
        """Return what a manifest's `calibration` states; raises ValueError for what is odd."""
        fields = fields or {}
        return cls(
            {name: float(value) for name, value in fields.get("temperatures", {}).items()},
            {name: float(value) for name, value in fields.get("uncertain_below", {}).items()},
            AgeLine(**{name: float(value) for name, value in fields.get("age_line", {}).items()}),
        )


def at_temperature(head: str, values: Values, temperature: float) -> Values:
    """Return a head's probabilities (n, units) with their logits divided by the temperature."""
    if temperature == 1:
        return values
    return _from_logits(head, _to_logits(head, values) / temperature)


def mean_reading(head: str, one: Values, other: Values) -> Values:
    """Return the mean of two readings (n, units) of the same faces: of ages, or of logits.

    A sure reading counts for more among logits than among probabilities, whose means are unsure.
    """
    if HEADS_BY_NAME[head].kind == "regression":
        return np.asarray((one + other) / 2, np.float32)
    return _from_logits(head, (_to_logits(head, one) + _to_logits(head, other)) / 2)


def _to_logits(head: str, values: Values) -> npt.NDArray[np.float64]:
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
