"""A network for prediction alone: batch norms folded away, batches of a few sizes."""

from collections.abc import Iterator

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from vision.bundle import Bundle
from vision.folding import fold_norms
from vision.mirroring import Mirroring, Outputs
from vision.network import NetworkSpec, build_network

MOST_AT_ONCE = 8
"""Crops a batch; a larger one is no faster, and holds more memory."""


class FrozenNetwork:
    """Predicts with a copy of a network, which later changes to the network do not reach.

    Outputs are means over a crop and its mirror image where `mirror` says so. With `bfloat16` the
    backbone computes in that; heads do not: it would round ages to quarters.
    """

    def __init__(
        self,
        network: keras.Model,
        spec: NetworkSpec,
        *,
        mirror: Mirroring | None = None,
        bfloat16: bool = False,
    ) -> None:
        self.input_size = spec.input_size
        self._mirror = mirror or Mirroring()
        backbone = network.get_layer(spec.backbone)
        copy = build_network(spec, fold_norms(backbone, "bfloat16" if bfloat16 else "float32"))
        for layer in network.layers:
            if layer is not backbone:
                copy.get_layer(layer.name).set_weights(layer.get_weights())
        self._units = {name: int(copy.output[name].shape[-1]) for name in spec.heads}

        # Weights stay variables: of constants in a graph TensorFlow keeps a dozen copies.
        @tf.function(input_signature=[tf.TensorSpec(copy.input.shape, tf.float32)])
        def forward(images: tf.Tensor) -> list[tf.Tensor]:
            outputs = copy(images, training=False)
            return [outputs[name] for name in spec.heads]

        self._forward = forward

    def predict(self, crops: npt.NDArray[np.uint8]) -> Outputs:
        """Return the outputs (n, units) a head for crops (n, size, size, 3), RGB; n may be 0."""
        return self._mirror.read(self._predict, crops)

    def _predict(self, crops: npt.NDArray[np.uint8]) -> Outputs:
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
        return [output.numpy() for output in self._forward(images)]


def freeze_bundle(bundle: Bundle, *, bfloat16: bool = False) -> FrozenNetwork:
    """Freeze a bundle's network, which reads crops and mirror images as the bundle says.

    Raises BundleInvalid unless the weights are the manifest's.
    """
    network = bundle.load_network()
    return FrozenNetwork(network, bundle.spec, mirror=bundle.mirror, bfloat16=bfloat16)


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
