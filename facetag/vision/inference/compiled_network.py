"""A network for prediction alone, compiled: crops to outputs."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from facetag.heads import HEADS_BY_NAME
from facetag.vision.inference.openvino_backend import Compiled
from facetag.vision.network.mirror_averaging import Mirroring, Outputs

MOST_AT_ONCE = 8
"""Crops a batch; a larger one is no faster, and holds more memory."""


class FrozenNetwork:
    """Predicts with a copy of a network, which later changes to the network do not reach.

    `features` makes of crops what `outputs` makes of one array a head, in the order of their names.
    Outputs are means over a crop and its mirror image where `mirror` says so.
    """

    def __init__(
        self,
        features: Compiled,
        outputs: Compiled,
        *,
        heads: Sequence[str],
        input_size: int,
        mirror: Mirroring | None = None,
    ) -> None:
        self.input_size = input_size
        self._features, self._outputs = features, outputs
        self._heads = heads
        self._mirror = mirror or Mirroring()

    def predict(self, crops: npt.NDArray[np.uint8]) -> Outputs:
        """Return the outputs (n, units) a head for crops (n, size, size, 3), RGB; n may be 0."""
        return self._mirror.read(self._predict, crops)

    def _predict(self, crops: npt.NDArray[np.uint8]) -> Outputs:
        if not len(crops):
            return {name: np.zeros((0, HEADS_BY_NAME[name].units), np.float32)
                    for name in self._heads}  # fmt: skip
        parts = []
        # Parts as even as may be: the fewer at once, the longer each takes.
        for part in np.array_split(crops, math.ceil(len(crops) / MOST_AT_ONCE)):
            (features,) = self._features(part.astype(np.float32))
            parts.append(dict(zip(sorted(self._heads), self._outputs(features), strict=True)))
        return {name: np.concatenate([part[name] for part in parts]) for name in self._heads}
