"""Our three functions against the Keras networks of the `mtcnn` package, and tampered weights."""

import importlib.resources
import shutil

import numpy as np
import pytest
import tensorflow as tf
from mtcnn.stages import StageONet, StagePNet, StageRNet

from facetag.errors import BundleInvalid
from facetag.vision.mtcnn.networks import WEIGHTS_SHA256, load_networks

PACKAGED = importlib.resources.files("mtcnn") / "assets" / "weights"


@pytest.fixture(scope="module")
def networks():
    return load_networks()


def images(*shape):
    values = np.random.default_rng(5).uniform(0, 255, (*shape, 3))
    return tf.constant(values.astype(np.float32))


def scaled(pixels):
    """As the package has them."""
    return (pixels - 127.5) / 128


@pytest.mark.parametrize("shape", [(2, 12, 12), (1, 40, 65), (3, 31, 18)])
def test_proposals_equal_those_of_the_package(networks, shape):
    (planes,) = networks.propose(images(*shape))
    *offsets, logits = np.moveaxis(planes, 1, 0)
    expected_offsets, expected_classes = StagePNet()._model(scaled(images(*shape)))
    assert np.allclose(np.stack(offsets, axis=-1), expected_offsets, atol=1e-4)
    assert np.allclose(1 / (1 + np.exp(-logits)), expected_classes[..., 1], atol=1e-4)


def test_refinement_equals_that_of_the_package(networks):
    offsets, scores = networks.refine(images(9, 24, 24))
    expected_offsets, expected_classes = StageRNet()._model(scaled(images(9, 24, 24)))
    assert offsets.shape == (9, 4)
    assert np.allclose(offsets, expected_offsets, atol=1e-4)
    assert np.allclose(scores, expected_classes[:, 1], atol=1e-4)


def test_output_equals_that_of_the_package(networks):
    offsets, scores, landmarks = networks.output(images(9, 48, 48))
    expected_offsets, expected_landmarks, expected_classes = StageONet()._model(
        scaled(images(9, 48, 48))
    )
    assert offsets.shape == (9, 4)
    assert np.allclose(offsets, expected_offsets, atol=1e-4)
    assert np.allclose(scores, expected_classes[:, 1], atol=1e-4)
    assert np.allclose(landmarks, expected_landmarks, atol=1e-4)


def copy_weights(folder):
    with importlib.resources.as_file(PACKAGED) as packaged:
        return shutil.copytree(packaged, folder / "weights")


def test_a_copy_of_the_weights_is_as_good(tmp_path, networks):
    copied = load_networks(copy_weights(tmp_path))
    assert np.array_equal(
        copied.refine(images(2, 24, 24))[1], networks.refine(images(2, 24, 24))[1]
    )


@pytest.mark.parametrize("name", sorted(WEIGHTS_SHA256))
def test_weights_with_another_checksum_are_refused_before_they_are_loaded(tmp_path, name):
    folder = copy_weights(tmp_path)
    path = folder / f"{name}.lz4"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleInvalid, match=f"{name}.*mtcnn==1.0.0"):
        load_networks(folder)
