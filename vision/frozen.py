"""A network for prediction alone: frozen graphs, batches of a few sizes."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from vision.freezing import FrozenGraphs

MOST_AT_ONCE = 16
"""Crops a batch; a larger one is no faster, and holds more memory."""

CROPS_A_CALL = 1
"""What a batch costs beside its crops, in crops: see `vision.freezing.LARGE_BYTES`."""


class FrozenNetwork:
    """Predicts with frozen graphs; a fifth faster on CPUs than the network they were made of."""

    def __init__(self, graphs: FrozenGraphs) -> None:
        self.input_size = graphs.input_size
        self._units = graphs.units
        self._read, self._answer = graphs.read.load(), graphs.answer.load()

    def predict(self, crops: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float32]]:
        """Return the outputs (n, units) a head for crops (n, size, size, 3), RGB; n may be 0."""
        parts = []
        start = 0
        for size in _batch_sizes(len(crops)):
            parts.append(self._predict_part(crops[start : start + size], size))
            start += size
        if not parts:
            return {name: np.zeros((0, units), np.float32) for name, units in self._units.items()}
        return {
            name: np.concatenate([part[index] for part in parts])
            for index, name in enumerate(self._units)
        }

    def _predict_part(
        self, crops: npt.NDArray[np.uint8], size: int
    ) -> list[npt.NDArray[np.float32]]:
        padding = [(0, size - len(crops)), (0, 0), (0, 0), (0, 0)]
        images = tf.constant(np.pad(crops, padding).astype(np.float32))
        return [output.numpy()[: len(crops)] for output in self._answer(*self._read(images))]


def _batch_sizes(count: int) -> Iterator[int]:
    """Yield powers of two that hold `count` crops, the largest first, of MOST_AT_ONCE at most.

    A bounded set of shapes keeps the kernels' caches, and so memory, flat. The last is padded where
    that is cheaper than more batches: 14 crops go as 16, but 12 as 8 and 4.
    """
    while count > 0:
        size = min(MOST_AT_ONCE, 1 << (count - 1).bit_length())
        if size - count > CROPS_A_CALL * (count.bit_count() - 1):
            size //= 2
        yield size
        count -= size
