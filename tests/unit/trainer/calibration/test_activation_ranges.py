"""Ranges hold what convolutions are given of images that calibrate, whatever the layers' names."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from facetag.vision.inference.openvino_conversion import convert_network
from facetag.vision.network.attributes import build_network
from facetag.vision.network.backbones import convolutions
from facetag_trainer.calibration.activation_ranges import KEPT, measure_ranges
from facetag_trainer.data.augmentation import centre_crop
from facetag_trainer.data.splits import CALIBRATION, split_held_out


@pytest.fixture
def spec(tiny_spec):
    return replace(tiny_spec, backbone="cnn")


@pytest.fixture
def network(spec):
    keras.utils.set_random_seed(7)
    return build_network(spec)


def test_the_first_convolutions_are_left_and_the_others_given_what_they_saw(
    network, spec, tiny_cache
):
    ranges = measure_ranges(network, spec, tiny_cache)
    layers = convolutions(network.get_layer("cnn"))
    assert len(ranges) == len(layers) > KEPT
    assert ranges[:KEPT] == [None] * KEPT
    held_out = np.flatnonzero(tiny_cache.validation)
    chosen = held_out[split_held_out(tiny_cache.hashes[held_out]) == CALIBRATION]
    images = [
        centre_crop(tiny_cache.crops[index], tiny_cache.size)
        for index in (chosen if len(chosen) else held_out)
    ]
    scaled = network.get_layer("scale")(np.stack(images).astype(np.float32))
    for layer, (low, high) in zip(layers[KEPT:], ranges[KEPT:], strict=True):
        probe = keras.Model(network.get_layer("cnn").input, layer.input)
        seen = np.asarray(probe(scaled, training=False))
        assert low == 0
        assert high == pytest.approx(seen.max(), abs=1e-3)


def test_a_network_quantized_by_them_reads_nearly_the_same(network, spec, tiny_cache):
    ranges = measure_ranges(network, spec, tiny_cache)
    crops = np.stack(
        [centre_crop(image, tiny_cache.size) for image in tiny_cache.crops[tiny_cache.validation]]
    )
    exact = convert_network(network, spec).predict(crops)
    rounded = convert_network(network, spec, ranges=ranges).predict(crops)
    assert not np.array_equal(rounded["race"], exact["race"])
    for name, values in exact.items():
        assert np.allclose(rounded[name], values, rtol=0.05, atol=0.02)


def test_a_network_of_few_convolutions_has_none_to_quantize(tiny_network, tiny_spec, tiny_cache):
    assert measure_ranges(tiny_network, tiny_spec, tiny_cache) == []
