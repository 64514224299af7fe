"""Backbones whose convolutions take 8 bits: what integer kernels will be given is rounded here.

A convolution's inputs are rounded to 256 steps of the range that its bundle states, its kernel to
255 of each output channel's own (Krishnamoorthi 2018, arXiv:1806.08342). The graph stays one of
floats: whatever compiles it finds the rounding and computes in integers.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from facetag.vision.network.backbones import convolutions

Ranges = Sequence[Sequence[float] | None]
"""Least and largest input of each of a backbone's convolutions, in the order of its layers; None of
one that is not to be rounded."""
NO_KERNEL = 1e-6
"""The least bound of an output channel's kernel: one of zeros has no range to be rounded in."""


class RoundedConv2D(layers.Conv2D):
    """A convolution of inputs and kernel as 8 bits can give them."""

    def __init__(self, *, low: float, high: float, **options: Any) -> None:
        super().__init__(**options)
        self._low, self._high = low, high

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Return the convolution of both, rounded."""
        rounded = tf.quantization.fake_quant_with_min_max_args(inputs, self._low, self._high)
        largest = tf.reduce_max(tf.abs(tf.convert_to_tensor(kernel)), axis=(0, 1, 2))
        bound = tf.maximum(largest, NO_KERNEL)
        steps = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            kernel, -bound, bound, narrow_range=True
        )
        return super().convolution_op(rounded, steps)


def quantize(backbone: keras.Model, ranges: Ranges) -> keras.Model:
    """Return a copy of a backbone in which convolutions are rounded to 8 bits.

    Raises ValueError unless there are as many ranges as convolutions.
    """
    named = dict(zip([one.name for one in convolutions(backbone)], ranges, strict=True))

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        config, bounds = layer.get_config(), named.get(layer.name)
        if bounds is None:
            return layer.__class__.from_config(config)
        return RoundedConv2D(low=bounds[0], high=bounds[1], **config)

    copied = keras.models.clone_model(backbone, clone_function=copy)
    copied.set_weights(backbone.get_weights())
    return copied
