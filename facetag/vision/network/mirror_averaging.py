"""Reading a face's mirror image too: always, or where the face alone leaves doubt.

The mean over both errs less than either, at twice the cost. Most labels that it changes are those
of faces whose likeliest label is hardly likelier than another.
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
    """Whose mirror image is read: everybody's, nobody's, or that of whom `below` is true of."""

    always: bool = False
    below: Mapping[str, float] = field(default_factory=dict)
    """By head, the top probability, as the network gives it, under which the image is read."""

    def __post_init__(self) -> None:
        if any(not 0 <= bound <= 1 for bound in self.below.values()):
            raise ValueError(f"a bound is no probability: {dict(self.below)}")

    def read(self, network: Callable[[Any], Outputs], images: npt.NDArray[Any]) -> Outputs:
        """Return a network's outputs (n, units) a head for images (n, size, size, 3).

        They are means over an image and its mirror image where that is read: of ages, of logits.
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
        """Return what a manifest's `mirror` states."""
        return dict(self.below) or self.always

    @classmethod
    def from_json(cls, stated: bool | Mapping[str, float]) -> "Mirroring":
        """Return what a manifest's `mirror` states; raises ValueError for what is odd."""
        if isinstance(stated, bool):
            return cls(always=stated)
        return cls(below={name: float(bound) for name, bound in stated.items()})
