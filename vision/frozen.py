"""A network for prediction alone: batch norms folded away, and compiled."""

import math

import keras
import numpy as np
import numpy.typing as npt

from vision.bundle import Bundle
from vision.compiling import compile_model, on_gpu
from vision.folding import fold_norms
from vision.mirroring import Mirroring, Outputs
from vision.network import NetworkSpec, build_network, take_features, take_heads
from vision.precision import FloatPrecision, Precision, fastest_float
from vision.quantizing import Ranges, quantize

MOST_AT_ONCE = 8
"""Crops a batch; a larger one is no faster, and holds more memory."""


class FrozenNetwork:
    """Predicts with a copy of a network, which later changes to the network do not reach.

    Outputs are means over a crop and its mirror image where `mirror` says so. The backbone computes
    in `precision`, and in 8 bits where `ranges` says so; heads do not: it would round ages to
    quarters. On a processor, calls from as many threads as `lanes` go on at a time.
    """

    def __init__(
        self,
        network: keras.Model,
        spec: NetworkSpec,
        *,
        mirror: Mirroring | None = None,
        precision: FloatPrecision = "float32",
        ranges: Ranges | None = None,
        lanes: int = 1,
    ) -> None:
        self.input_size = spec.input_size
        self._mirror = mirror or Mirroring()
        self._units = {name: int(network.output[name].shape[-1]) for name in spec.heads}
        # As they come out of a dict of outputs.
        self._names = keras.tree.flatten({name: name for name in spec.heads})
        # OpenVINO chooses what is computed in bfloat16 itself.
        folded_in = precision if on_gpu() else "float32"
        backbone = fold_norms(network.get_layer(spec.backbone), folded_in)
        copy = build_network(spec, quantize(backbone, ranges) if ranges else backbone)
        for layer in network.layers:
            if layer.name != spec.backbone:
                copy.get_layer(layer.name).set_weights(layer.get_weights())
        self._features = compile_model(take_features(copy, spec), precision=precision, lanes=lanes)
        self._heads = compile_model(take_heads(copy, spec), lanes=lanes)

    def predict(self, crops: npt.NDArray[np.uint8]) -> Outputs:
        """Return the outputs (n, units) a head for crops (n, size, size, 3), RGB; n may be 0."""
        return self._mirror.read(self._predict, crops)

    def _predict(self, crops: npt.NDArray[np.uint8]) -> Outputs:
        if not len(crops):
            return {name: np.zeros((0, units), np.float32) for name, units in self._units.items()}
        parts = []
        # Parts as even as may be: the fewer at once, the longer each takes.
        for part in np.array_split(crops, math.ceil(len(crops) / MOST_AT_ONCE)):
            (features,) = self._features(part.astype(np.float32))
            parts.append(dict(zip(self._names, self._heads(features), strict=True)))
        return {name: np.concatenate([part[name] for part in parts]) for name in self._units}


def freeze_bundle(
    bundle: Bundle, *, precision: Precision = "float32", lanes: int = 1
) -> FrozenNetwork:
    """Freeze a bundle's network, which reads crops and mirror images as the bundle says.

    In int8 what has no range is computed in the fastest float. Raises BundleInvalid unless the
    weights are the manifest's.
    """
    return FrozenNetwork(
        bundle.load_network(),
        bundle.spec,
        mirror=bundle.mirror,
        precision=fastest_float() if precision == "int8" else precision,
        ranges=bundle.activation_ranges if precision == "int8" else None,
        lanes=lanes,
    )
