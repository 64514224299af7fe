"""Soften targets: label smoothing, and images mixed in pairs.

Label smoothing is by Szegedy et al. 2016 (arXiv:1512.00567), mixup by Zhang et al. 2018
(arXiv:1710.09412). Every draw comes from the generator that is passed in.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facetag.heads import HEADS_BY_NAME

Columns = Mapping[str, npt.NDArray[np.float32]]
Images = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Softening:
    """Strength of the softening; see FitPlan."""

    smoothing: float
    mixup: float

    def soften(
        self, images: Images, targets: Columns, weights: Columns, rng: np.random.Generator
    ) -> tuple[Images, dict[str, Images], dict[str, Images]]:
        """Return images, targets and weights (n,) per head; categorical targets become (n, units).

        Categorical targets may be (n, units) already. A mixed pair has weight 0 for a head if one
        of its labels is missing.
        """
        soft = {name: self._smooth(name, values) for name, values in targets.items()}
        if self.mixup == 0:
            return images, soft, dict(weights)
        partner = rng.permutation(len(images))
        drawn = rng.beta(self.mixup, self.mixup, len(images)).astype(np.float32)
        share = np.maximum(drawn, 1 - drawn)
        return (
            _blend(images, partner, share),
            {name: _blend(values, partner, share) for name, values in soft.items()},
            {
                name: _blend(values, partner, share) * ((values > 0) & (values[partner] > 0))
                for name, values in weights.items()
            },
        )

    def _smooth(self, name: str, values: Images) -> Images:
        head = HEADS_BY_NAME.get(name)
        # A descriptor, which is no head's, is a number or more as an age is.
        if head is None or head.kind == "regression":
            return values
        if head.kind == "binary":
            return values * np.float32(1 - self.smoothing) + np.float32(self.smoothing / 2)
        chosen = to_probabilities(name, values)
        return chosen * np.float32(1 - self.smoothing) + np.float32(self.smoothing / head.units)


def to_probabilities(name: str, values: Images) -> Images:
    """Return a categorical head's targets (n, units), from codes (n,) or from such targets."""
    if values.ndim == 2:
        return values
    return np.eye(HEADS_BY_NAME[name].units, dtype=np.float32)[values.astype(int)]


def _blend(values: Images, partner: npt.NDArray[np.intp], share: Images) -> Images:
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return values * share + values[partner] * (1 - share)
