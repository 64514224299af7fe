"""One detector for all tests of this room, photos with and without faces, and a tiny bundle."""

import keras
import numpy as np
import pytest
from PIL import Image
from skimage import data

from facetag.vision.bundle_writer import write_bundle
from facetag.vision.crop import UprightCrop
from facetag.vision.mtcnn.detector import Detector
from facetag.vision.network.attributes import build_network
from facetag.vision.network.spec import NetworkSpec
from facetag.vision.network_loader import compile_cascade

TINY = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)


@pytest.fixture(scope="session")
def detector():
    return Detector(compile_cascade(), min_face=0.04, confidence=0.9)


@pytest.fixture(scope="session")
def astronaut():
    """One face, upright RGB uint8 (512, 512, 3)."""
    return data.astronaut()


@pytest.fixture(scope="session")
def crowd(astronaut):
    """Two faces of different sizes, (512, 900, 3)."""
    small = np.asarray(Image.fromarray(astronaut).resize((340, 340)))
    photo = np.full((512, 900, 3), 90, np.uint8)
    photo[:, :512] = astronaut
    photo[100:440, 540:880] = small
    return photo


@pytest.fixture(scope="session")
def tiny_spec():
    return TINY


@pytest.fixture
def tiny_network():
    """Random weights, with statistics of batch normalisation that are not the initial ones."""
    keras.utils.set_random_seed(7)
    network = build_network(TINY)
    rng = np.random.default_rng(7)
    for variable in network.variables:
        if variable.path.endswith(("moving_mean", "moving_variance", "kernel")):
            variable.assign(rng.uniform(0.05, 0.4, variable.shape).astype(np.float32))
    return network


@pytest.fixture
def tiny_bundle(tmp_path, tiny_network):
    facts = {
        "created": "2025-01-31",
        "age_range": {"coverage": 0.8, "knots": [20, 60], "below": [3, 8], "above": [4, 9]},
    }
    return write_bundle(tmp_path / "bundle", tiny_network, TINY, UprightCrop(), facts)
