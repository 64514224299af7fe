"""Tiny caches, shards and a tiny bundle: nothing here is large, learnt or somebody's photo."""

import keras
import pytest

from facetag.vision.bundle_writer import write_bundle
from facetag.vision.crop import UprightCrop
from facetag.vision.network.attributes import build_network
from facetag.vision.network.spec import NetworkSpec
from tests.unit.trainer.chips import chip_members, write_tar
from tests.unit.trainer.tiny_caches import write_tiny_cache


@pytest.fixture
def tiny_spec():
    return NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)


@pytest.fixture
def tiny_cache(tmp_path):
    return write_tiny_cache(tmp_path / "cache")


@pytest.fixture
def tiny_network(tiny_spec):
    keras.utils.set_random_seed(7)
    return build_network(tiny_spec)


@pytest.fixture
def tiny_bundle(tmp_path, tiny_network, tiny_spec):
    facts = {
        "created": "2025-01-31",
        "age_range": {"coverage": 0.8, "knots": [20, 60], "below": [3, 8], "above": [4, 9]},
    }
    return write_bundle(tmp_path / "bundle", tiny_network, tiny_spec, UprightCrop(), facts)


@pytest.fixture(scope="session")
def chips_tar(tmp_path_factory):
    """Twelve labelled chips with a face each."""
    return write_tar(tmp_path_factory.mktemp("shards") / "chips.tar", chip_members(12))
