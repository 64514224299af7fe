"""Freezing a network for prediction: batch norms folded away, rounded to 8 bits where it is told.

The backbone computes in `precision`, and in 8 bits where `ranges` says so; heads do not: it would
round ages to quarters.
"""

import keras
import tensorflow as tf

from facetag.settings import AskedPrecision
from facetag.vision.bundle import Bundle
from facetag.vision.inference.compiled_network import FrozenNetwork
from facetag.vision.inference.export_graphs import compile_model, on_gpu
from facetag.vision.inference.folding import fold_norms
from facetag.vision.inference.precision import (
    FloatPrecision,
    Precision,
    beside_integers,
    choose_precision,
)
from facetag.vision.inference.quantizing import Ranges, quantize
from facetag.vision.mtcnn.cascade import Cascade
from facetag.vision.mtcnn.networks import compile_cascade
from facetag.vision.network.attributes import build_network, take_features, take_heads
from facetag.vision.network.mirror_averaging import Mirroring
from facetag.vision.network.spec import NetworkSpec


def freeze_network(
    network: keras.Model,
    spec: NetworkSpec,
    *,
    mirror: Mirroring | None = None,
    precision: FloatPrecision = "float32",
    ranges: Ranges | None = None,
    lanes: int = 1,
) -> FrozenNetwork:
    """Freeze a network; on a processor, calls from as many threads as `lanes` go on at a time."""
    features, heads = take_parts(network, spec, precision=precision, ranges=ranges)
    return FrozenNetwork(
        compile_model(features, precision=precision, lanes=lanes),
        compile_model(heads, lanes=lanes),
        heads=spec.heads,
        input_size=spec.input_size,
        mirror=mirror,
    )


def freeze_bundle(
    bundle: Bundle, *, precision: Precision = "float32", lanes: int = 1
) -> FrozenNetwork:
    """Freeze a bundle's network, which reads crops and mirror images as the bundle says.

    Raises BundleInvalid unless the weights are the manifest's.
    """
    return freeze_network(
        bundle.load_network(),
        bundle.spec,
        mirror=bundle.mirror,
        precision=beside_integers(precision),
        ranges=bundle.ranges_in(precision),
        lanes=lanes,
    )


def take_parts(
    network: keras.Model, spec: NetworkSpec, *, precision: FloatPrecision, ranges: Ranges | None
) -> tuple[keras.Model, keras.Model]:
    """Return copies of what heads share, folded and rounded, and of the heads."""
    # OpenVINO chooses what is computed in bfloat16 itself.
    folded_in = precision if on_gpu() else "float32"
    backbone = fold_norms(network.get_layer(spec.backbone), folded_in)
    copy = build_network(spec, quantize(backbone, ranges) if ranges else backbone)
    for layer in network.layers:
        if layer.name != spec.backbone:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return take_features(copy, spec), take_heads(copy, spec)


def load_here(
    bundle: Bundle, asked: AskedPrecision, *, lanes: int = 1
) -> tuple[FrozenNetwork, Cascade]:
    """Return a bundle's network and MTCNN's, traced in this process: for a GPU, if there is one."""
    for device in tf.config.list_physical_devices("GPU"):
        # Without growth the first process takes all of the GPU's memory.
        tf.config.experimental.set_memory_growth(device, True)
    precision = choose_precision(asked, bundle, on_gpu=on_gpu())
    return freeze_bundle(bundle, precision=precision, lanes=lanes), compile_cascade(lanes=lanes)
