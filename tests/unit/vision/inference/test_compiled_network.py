"""The frozen graph gives what the network gives, for every number of crops."""

import numpy as np
import pytest

from facetag.vision.inference.openvino_conversion import convert_network
from facetag.vision.network.calibration import mean_reading
from facetag.vision.network.mirror_averaging import Mirroring


@pytest.fixture
def frozen(tiny_network, tiny_spec):
    return convert_network(tiny_network, tiny_spec)


def crops_of(count, size=32):
    return np.random.default_rng(count).integers(0, 256, (count, size, size, 3), np.uint8)


@pytest.mark.parametrize("count", [1, 2, 5, 31, 32, 33, 70])
def test_outputs_equal_the_networks_own(frozen, tiny_network, count):
    crops = crops_of(count)
    outputs = frozen.predict(crops)
    expected = tiny_network.predict_on_batch(crops.astype(np.float32))
    assert set(outputs) == set(expected)
    for name, values in expected.items():
        assert outputs[name].shape == (count, values.shape[1])
        assert np.allclose(outputs[name], values, atol=1e-4)


def test_no_crops_have_no_rows_but_the_heads_widths(frozen):
    shapes = {name: values.shape for name, values in frozen.predict(crops_of(0)).items()}
    assert shapes == {"age": (0, 1), "gender": (0, 1), "race": (0, 5)}


def test_a_crop_is_read_alone_as_in_a_batch(frozen):
    crops = crops_of(9)
    together = frozen.predict(crops)
    for index, crop in enumerate(crops):
        for name, values in frozen.predict(crop[None]).items():
            assert np.allclose(values[0], together[name][index], atol=1e-4)


def test_later_changes_to_the_network_do_not_reach_the_frozen_graph(frozen, tiny_network):
    before = frozen.predict(crops_of(2))
    for variable in tiny_network.trainable_variables:
        variable.assign(variable * 0)
    assert np.array_equal(frozen.predict(crops_of(2))["race"], before["race"])


def test_mirrored_outputs_are_the_mean_over_a_crop_and_its_mirror_image(tiny_network, tiny_spec):
    crops = crops_of(3)
    found = convert_network(tiny_network, tiny_spec, mirror=Mirroring(always=True)).predict(crops)
    plain = convert_network(tiny_network, tiny_spec)
    one, other = plain.predict(crops), plain.predict(crops[:, :, ::-1])
    assert not np.allclose(one["age"], other["age"], atol=1e-4)
    for name, values in found.items():
        assert np.allclose(values, mean_reading(name, one[name], other[name]), atol=1e-4)


def test_bfloat16_gives_nearly_what_float32_gives(frozen, tiny_network, tiny_spec):
    crops = crops_of(40)
    exact = frozen.predict(crops)
    rough = convert_network(tiny_network, tiny_spec, precision="bfloat16").predict(crops)
    for name, values in exact.items():
        assert rough[name].dtype == np.float32
        assert np.allclose(rough[name], values, rtol=0.02, atol=0.01)
    # The heads are not rounded: in bfloat16 these values above 2,048 would be multiples of 16.
    assert np.mean(rough["age"] % 16 == 0) < 0.1
