"""A network for prediction alone: variables folded to constants, batches of a few sizes."""

from collections.abc import Iterator

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from vision.bfloat16 import rewrite_in_bfloat16
from vision.network import NetworkSpec, take_features, take_heads

MOST_AT_ONCE = 16
"""Crops a batch; a larger one is no faster, and holds more memory."""


class FrozenNetwork:
    """Predicts with a frozen graph; a fifth faster on CPUs than the network that it was made of.

    With `mirror`, outputs are the mean over a crop and its mirror image, at twice the cost. With
    `bfloat16` the backbone computes in that.
    """

    def __init__(
        self,
        network: keras.Model,
        spec: NetworkSpec,
        *,
        mirror: bool = False,
        bfloat16: bool = False,
    ) -> None:
        self.input_size = spec.input_size
        trunk, heads = take_features(network, spec), take_heads(network, spec)
        self._units = {name: int(heads.output[name].shape[-1]) for name in spec.heads}

        @tf.function(input_signature=[tf.TensorSpec(trunk.input.shape, tf.float32)])
        def read(images: tf.Tensor) -> tf.Tensor:
            batch = tf.concat([images, tf.reverse(images, [2])], 0) if mirror else images
            return trunk(batch, training=False)

        @tf.function(input_signature=[tf.TensorSpec(trunk.output.shape, tf.float32)])
        def answer(features: tf.Tensor) -> list[tf.Tensor]:
            outputs = heads(features, training=False)
            if mirror:
                outputs = {name: _mean_of_halves(outputs[name]) for name in self._units}
            return [outputs[name] for name in self._units]

        self._read, self._answer = (
            convert_variables_to_constants_v2(part.get_concrete_function())
            for part in (read, answer)
        )
        if bfloat16:
            # Not the heads: it would round ages to quarters.
            self._read = rewrite_in_bfloat16(self._read)

    def predict(self, crops: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float32]]:
        """Return the outputs (n, units) a head for crops (n, size, size, 3), RGB; n may be 0."""
        parts = []
        start = 0
        for size in _batch_sizes(len(crops)):
            parts.append(self._predict_part(crops[start : start + size]))
            start += size
        if not parts:
            return {name: np.zeros((0, units), np.float32) for name, units in self._units.items()}
        return {
            name: np.concatenate([part[index] for part in parts])
            for index, name in enumerate(self._units)
        }

    def _predict_part(self, crops: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
        images = tf.constant(crops.astype(np.float32))
        return [output.numpy() for output in self._answer(*self._read(images))]


def _batch_sizes(count: int) -> Iterator[int]:
    """Yield powers of two that sum up to `count`, the largest first, of MOST_AT_ONCE at most.

    A bounded set of shapes keeps the kernels' caches, and so memory, flat, and nothing is padded:
    22 crops in one batch of 32 would take as long as 32.
    """
    size = MOST_AT_ONCE
    while count:
        while size > count:
            size //= 2
        yield size
        count -= size


def _mean_of_halves(values: tf.Tensor) -> tf.Tensor:
    first, second = tf.split(values, 2)
    return (first + second) / 2
