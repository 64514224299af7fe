"""Average predictions over a face and its mirror image: always, or only for uncertain faces.

The mean over both has a smaller error than either, at twice the cost. Most labels that it changes
belong to faces whose two likeliest labels are about equally likely.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.vision.network.calibration import Values, mean_reading, top_probability

Outputs = dict[str, Values]


@dataclass(frozen=True, slots=True)
class Mirroring:
    """Say for which faces the mirror image is read too: for all, for none, or by `below`."""

    always: bool = False
    below: Mapping[str, float] = field(default_factory=dict)
    """Per head, the top probability of the network below which the mirror image is read."""

    def __post_init__(self) -> None:
        if any(not 0 <= bound <= 1 for bound in self.below.values()):
            raise ValueError(f"a bound must be in 0..1: {dict(self.below)}")

    def read(self, network: Callable[[Any], Outputs], images: npt.NDArray[Any]) -> Outputs:
        """Return a network's outputs (n, units) per head for images (n, size, size, 3).

        Where the mirror image is read too, they are means over both, of ages or of logits.
        """
        outputs = network(images)
        again = np.flatnonzero(self._wanted(outputs, len(images)))
        if not len(again):
            return outputs
        turned = network(images[again][:, :, ::-1])
        means = {name: values.copy() for name, values in outputs.items()}
        for name, values in means.items():
            values[again] = mean_reading(name, values[again], turned[name])
        return means

    def _wanted(self, outputs: Outputs, count: int) -> npt.NDArray[np.bool_]:
        wanted = np.full(count, self.always)
        for name, bound in self.below.items():
            if name in outputs:
                wanted |= top_probability(name, outputs[name]) < bound
        return wanted

    def to_json(self) -> bool | dict[str, float]:
        """Return the value of a manifest's `mirror`."""
        return dict(self.below) or self.always

    @classmethod
    def from_json(cls, stated: bool | Mapping[str, float]) -> "Mirroring":
        """Read a manifest's `mirror`; raises ValueError if a bound is invalid."""
        if isinstance(stated, bool):
            return cls(always=stated)
        return cls(below={name: float(bound) for name, bound in stated.items()})
