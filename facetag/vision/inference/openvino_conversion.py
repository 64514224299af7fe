"""Convert a fitted network into one for prediction alone.

Batch norms are folded into the convolutions before them. With `ranges`, the backbone's convolutions
are rounded to 8 bits. Only the backbone computes in `precision`: heads stay in float32, because
bfloat16 would round ages to quarters of a year.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers

from facetag.vision.bundle import Bundle
from facetag.vision.inference.compiled_network import CompiledNetwork
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.inference.graph_export import compile_model, on_gpu
from facetag.vision.inference.precision import FloatPrecision, Precision, float_precision
from facetag.vision.network.attributes import build_network, take_features, take_heads
from facetag.vision.network.backbones import convolutions
from facetag.vision.network.mirror_averaging import Mirroring
from facetag.vision.network.spec import NetworkSpec

Ranges = Sequence[Sequence[float] | None]
"""The least and the largest input of each of a backbone's convolutions, in the order of its layers;
None for a convolution that is not rounded."""
SMALLEST_BOUND = 1e-6
"""The smallest bound of an output channel's kernel: a kernel of zeros has no range of its own."""


def convert_network(
    network: keras.Model,
    spec: NetworkSpec,
    *,
    mirror: Mirroring | None = None,
    precision: FloatPrecision = "float32",
    ranges: Ranges | None = None,
    slots: CpuSlots | None = None,
) -> CompiledNetwork:
    """Convert and compile a network; later changes to the network do not reach the result."""
    features, heads = split_network(network, spec, precision=precision, ranges=ranges)
    return CompiledNetwork(
        compile_model(features, precision=precision, slots=slots),
        compile_model(heads, slots=slots),
        heads=spec.heads,
        input_size=spec.input_size,
        mirror=mirror,
    )


def convert_bundle(
    bundle: Bundle, *, precision: Precision = "float32", slots: CpuSlots | None = None
) -> CompiledNetwork:
    """Convert and compile a bundle's network, with mirror images read as the bundle says.

    Raises BundleInvalid if the weights' checksum is not the manifest's.
    """
    return convert_network(
        bundle.load_network(),
        bundle.spec,
        mirror=bundle.mirror,
        precision=float_precision(precision),
        ranges=bundle.ranges_in(precision),
        slots=slots,
    )


def split_network(
    network: keras.Model, spec: NetworkSpec, *, precision: FloatPrecision, ranges: Ranges | None
) -> tuple[keras.Model, keras.Model]:
    """Return copies of the part that all heads share, folded and rounded, and of the heads."""
    # On a CPU, OpenVINO itself chooses which layers compute in bfloat16.
    dtype = precision if on_gpu() else "float32"
    backbone = fold_norms(network.get_layer(spec.backbone), dtype)
    copy = build_network(spec, quantize(backbone, ranges) if ranges else backbone)
    for layer in network.layers:
        if layer.name != spec.backbone:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return take_features(copy, spec), take_heads(copy, spec)


def fold_norms(backbone: keras.Model, dtype: str = "float32") -> keras.Model:
    """Return a copy of a backbone that computes in `dtype`, with each foldable batch norm folded.

    A batch norm can be folded if it alone follows a convolution; others are kept. Pooled features
    are float32.
    """
    folded = _find_foldable(backbone)
    norms = {norm.name for norm in folded.values()}

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if not isinstance(layer, layers.GlobalAveragePooling2D):
            config["dtype"] = dtype
        if layer.name in folded:
            config["use_bias"] = True
        return layer.__class__.from_config(config)

    def call(layer: keras.layers.Layer, *inputs: Any, **options: Any) -> Any:
        return inputs[0] if layer.name in norms else layer(*inputs, **options)

    copied = keras.models.clone_model(backbone, clone_function=copy, call_function=call)
    for layer in copied.layers:
        if layer.name in folded:
            layer.set_weights(_fold(backbone.get_layer(layer.name), folded[layer.name]))
        elif layer.weights:
            layer.set_weights(backbone.get_layer(layer.name).get_weights())
    return copied


def quantize(backbone: keras.Model, ranges: Ranges) -> keras.Model:
    """Return a copy of a backbone whose convolutions are rounded to 8 bits.

    The graph still computes in floats: OpenVINO finds the rounding and computes in integers. Raises
    ValueError unless there are as many ranges as convolutions.
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


class RoundedConv2D(layers.Conv2D):
    """Convolve inputs and a kernel that are rounded to what 8 bits can hold.

    Inputs are rounded to 256 steps of the range that the bundle states, the kernel to 255 steps of
    each output channel's own range (Krishnamoorthi 2018, arXiv:1806.08342).
    """

    def __init__(self, *, low: float, high: float, **options: Any) -> None:
        super().__init__(**options)
        self._low, self._high = low, high

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Return the convolution of the rounded inputs with the rounded kernel."""
        rounded = tf.quantization.fake_quant_with_min_max_args(inputs, self._low, self._high)
        largest = tf.reduce_max(tf.abs(tf.convert_to_tensor(kernel)), axis=(0, 1, 2))
        bound = tf.maximum(largest, SMALLEST_BOUND)
        steps = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            kernel, -bound, bound, narrow_range=True
        )
        return super().convolution_op(rounded, steps)


def _find_foldable(backbone: keras.Model) -> dict[str, Any]:
    """Return the batch norms that can be folded, by the name of the convolution before each."""
    inner = [layer for layer in backbone.layers if not isinstance(layer, layers.InputLayer)]
    consumers = Counter(id(one) for layer in inner for one in keras.tree.flatten(layer.input))
    makers = {id(layer.output): layer for layer in inner if type(layer) is layers.Conv2D}
    return {
        makers[id(norm.input)].name: norm
        for norm in inner
        if type(norm) is layers.BatchNormalization
        and id(norm.input) in makers
        and consumers[id(norm.input)] == 1
        and makers[id(norm.input)].activation is keras.activations.linear
    }


def _fold(convolution: Any, norm: Any) -> list[npt.NDArray[np.float32]]:
    """Return kernel (h, w, in, out) and bias (out,) of one layer that does the work of both."""
    kernel, *bias = convolution.get_weights()
    mean, variance = norm.moving_mean.numpy(), norm.moving_variance.numpy()
    scale = 1 / np.sqrt(variance + norm.epsilon)
    if norm.gamma is not None:
        scale *= norm.gamma.numpy()
    shift = (sum(bias) - mean) * scale
    if norm.beta is not None:
        shift += norm.beta.numpy()
    return [kernel * scale, shift]
