"""An average has the mean of the weights, and statistics of its own."""

import keras
import numpy as np
import pytest

from benchmarks.network.weight_soups import mix
from facetag.vision.network.attributes import build_network
from facetag.vision.network.spec import NetworkSpec
from tests.unit.trainer.tiny_caches import write_tiny_cache

SPEC = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)


@pytest.fixture
def weights():
    found = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        found.append(build_network(SPEC).get_weights())
    return found


def named(network, name):
    return [np.asarray(one) for one in network.variables if one.path.endswith(name)]


def test_weights_are_averaged_by_their_shares_and_statistics_are_taken_anew(weights, tmp_path):
    cache = write_tiny_cache(tmp_path / "cache")
    first, second, average = (
        mix(SPEC, weights, shares, cache, frozen=0)
        for shares in ((1.0, 0.0), (0.0, 1.0), (0.25, 0.75))
    )
    for network, own in ((first, weights[0]), (second, weights[1])):
        assert all(np.array_equal(*pair) for pair in zip(network.get_weights(), own, strict=True))
    kernels = zip(*(named(network, "kernel") for network in (first, second, average)), strict=True)
    for start, end, mixed in kernels:
        np.testing.assert_allclose(mixed, 0.25 * start + 0.75 * end, atol=1e-6)
    for start, mixed in zip(
        named(first, "moving_variance"), named(average, "moving_variance"), strict=True
    ):
        assert not np.allclose(start, mixed)
