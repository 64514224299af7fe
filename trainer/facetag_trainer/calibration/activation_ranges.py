"""Measure the inputs of a network's convolutions: the ranges by which they are quantised."""

import keras
import numpy as np

from facetag.vision.network.backbones import convolutions
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.data.augmentation import centre_crop
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.splits import CALIBRATION, split_held_out

MOST_IMAGES = 512
BATCH = 8
KEPT = 3
"""Number of first convolutions that are not quantised: they read the image itself, in few channels,
so rounding them changes ages and probabilities most."""

Bounds = list[float] | None


def measure_ranges(network: keras.Model, spec: NetworkSpec, cache: CropCache) -> list[Bounds]:
    """Return the least and the largest input of each convolution of the backbone, in their order.

    They are measured on at most `MOST_IMAGES` images of the calibration part, or of all held-out
    images in a set so small that this part is empty. Every range contains 0. None stands for a
    convolution that is not quantised.
    """
    backbone = network.get_layer(spec.backbone)
    layers = convolutions(backbone)[KEPT:]
    if not layers:
        return []
    probe = keras.Model(backbone.input, [layer.input for layer in layers])
    least, largest = np.zeros(len(layers)), np.zeros(len(layers))
    images = _calibrating(cache)
    for start in range(0, len(images), BATCH):
        crops = np.stack([centre_crop(cache.crops[i], cache.size) for i in images[start:][:BATCH]])
        scaled = network.get_layer("scale")(crops.astype(np.float32))
        seen = [np.asarray(one) for one in keras.tree.flatten(probe.predict_on_batch(scaled))]
        least = np.minimum(least, [one.min() for one in seen])
        largest = np.maximum(largest, [one.max() for one in seen])
    measured: list[Bounds] = [
        [round(float(low), 4), round(float(high), 4)]
        for low, high in zip(least, largest, strict=True)
    ]
    return [None] * (len(convolutions(backbone)) - len(layers)) + measured


def _calibrating(cache: CropCache) -> np.ndarray:
    held_out = np.flatnonzero(cache.validation)
    chosen = held_out[split_held_out(cache.hashes[held_out]) == CALIBRATION]
    return (chosen if len(chosen) else held_out)[:MOST_IMAGES]
