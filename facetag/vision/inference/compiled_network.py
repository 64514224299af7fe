"""Predict attributes from crops with a compiled network."""

import math
from collections.abc import Collection, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from facetag.heads import HEADS_BY_NAME
from facetag.vision.inference.openvino_backend import Compiled
from facetag.vision.network.mirror_averaging import Mirroring, Outputs

MOST_AT_ONCE = 8
"""Crops per batch: a larger batch is no faster and takes more memory."""


class CompiledNetwork:
    """Predict with the compiled copy of a network.

    `features` turns crops into pooled features, and `outputs` turns these into one array per head,
    in the order of the heads' names. Where `mirror` says so, outputs are means over a crop and its
    mirror image.
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

    def predict(
        self, crops: npt.NDArray[np.uint8], heads: Collection[str] | None = None
    ) -> Outputs:
        """Return the outputs (n, units) per head for RGB crops (n, size, size, 3); n may be 0.

        With `heads`, what the network says of others is dropped here; without any, it is not asked.
        """
        wanted = [name for name in self._heads if heads is None or name in heads]
        if not wanted:
            return {}
        return self._mirror.read(partial(self._predict, wanted), crops)

    def _predict(self, wanted: Sequence[str], crops: npt.NDArray[np.uint8]) -> Outputs:
        if not len(crops):
            return {name: np.zeros((0, HEADS_BY_NAME[name].units), np.float32)
                    for name in wanted}  # fmt: skip
        parts = []
        # Parts are as even as possible: the smaller a part, the more time each crop takes.
        for part in np.array_split(crops, math.ceil(len(crops) / MOST_AT_ONCE)):
            (features,) = self._features(part.astype(np.float32))
            parts.append(dict(zip(sorted(self._heads), self._outputs(features), strict=True)))
        return {name: np.concatenate([part[name] for part in parts]) for name in wanted}
