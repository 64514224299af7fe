"""Give the range around a predicted apparent age; its width depends on the predicted age."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ages = npt.NDArray[np.float32]
Years = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AgeRange:
    """Hold offsets in years below and above a prediction, interpolated between ages (`knots`).

    Raises ValueError unless all are finite, each knot has both offsets, and the knots are in order.
    """

    coverage: float
    knots: Sequence[float]
    below: Sequence[float]
    above: Sequence[float]

    def __post_init__(self) -> None:
        values = np.array([self.knots, self.below, self.above], np.float64)
        if values.size == 0 or not np.isfinite(values).all() or (np.diff(values[0]) < 0).any():
            raise ValueError(f"an age range needs ages in order, and offsets for each: {self}")

    def around(self, age: float) -> tuple[float, float]:
        """Return the range in years around a predicted age; it never starts below 0."""
        low, high = self.bounds(np.array([age]))
        return float(low[0]), float(high[0])

    def bounds(self, ages: npt.NDArray[Any]) -> tuple[Years, Years]:
        """Return the lower and upper ends in years around predicted ages, all (n,)."""
        low = ages - np.interp(ages, self.knots, self.below)
        high = ages + np.interp(ages, self.knots, self.above)
        return np.maximum(0.0, low), np.maximum(0.0, high)

    def covers(self, predicted: Ages, labels: Ages) -> npt.NDArray[np.bool_]:
        """Return which labels lie in the reported range: whole years, ends included."""
        low, high = self.bounds(predicted.astype(np.float64))
        return (labels >= np.rint(low)) & (labels <= np.rint(high))

    def widened(self, factor: float) -> "AgeRange":
        """Return the range with all offsets multiplied by a factor."""
        return AgeRange(
            self.coverage,
            self.knots,
            [factor * value for value in self.below],
            [factor * value for value in self.above],
        )

    def to_json(self) -> dict[str, Any]:
        """Return the range as a bundle's manifest states it."""
        return {
            "coverage": self.coverage,
            "knots": [round(float(value), 2) for value in self.knots],
            "below": [round(float(value), 2) for value in self.below],
            "above": [round(float(value), 2) for value in self.above],
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "AgeRange":
        """Return the range that a manifest states."""
        return cls(fields["coverage"], fields["knots"], fields["below"], fields["above"])
