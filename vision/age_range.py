"""The range in which an apparent age lies: offsets about the prediction that depend on its size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class AgeRange:
    """Offsets in years below and above, interpolated between predicted ages (`knots`)."""

    coverage: float
    knots: Sequence[float]
    below: Sequence[float]
    above: Sequence[float]

    def around(self, age: float) -> tuple[float, float]:
        """Return the range in years about a predicted age; it never starts below 0."""
        low = age - float(np.interp(age, self.knots, self.below))
        high = age + float(np.interp(age, self.knots, self.above))
        return max(0.0, low), max(0.0, high)

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
