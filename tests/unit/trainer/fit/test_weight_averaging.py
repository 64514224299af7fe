"""Averaged weights come with statistics of their own, and leave no trace behind."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.losses import compile_network
from facetag_trainer.fit.weight_averaging import averaged_weights, retake_statistics


def batches(count=4, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.uniform(0, 255, (8, 32, 32, 3)).astype(np.float32) for _ in range(count)]


def trained(network, spec, averaging):
    plan = FitPlan(learning_rate=0.05, averaging=averaging, label_smoothing=0.0, mixup=0.0)
    compile_network(network, spec, plan, 10)
    network.optimizer.build(network.trainable_variables)
    kernels = []
    for images in batches(6):
        targets = {"age": np.full(8, 30.0), "gender": np.ones(8), "race": np.ones(8)}
        network.train_on_batch(images, targets)
        kernels.append(np.asarray(network.get_layer("age_hidden").kernel).copy())
    return kernels


def state_of(network):
    return [np.asarray(value).copy() for value in network.variables]


def test_within_the_body_the_weights_are_the_decaying_mean_of_the_steps(tiny_network, tiny_spec):
    kernels = trained(tiny_network, tiny_spec, 0.5)
    expected = kernels[0]
    for kernel in kernels[1:]:
        expected = 0.5 * expected + 0.5 * kernel
    with averaged_weights(tiny_network, batches()):
        assert np.allclose(tiny_network.get_layer("age_hidden").kernel, expected, atol=1e-6)
        assert not np.allclose(expected, kernels[-1], atol=1e-6)


def test_after_the_body_every_variable_is_as_before(tiny_network, tiny_spec):
    trained(tiny_network, tiny_spec, 0.5)
    before = state_of(tiny_network)
    with averaged_weights(tiny_network, batches()):
        within = state_of(tiny_network)
    assert not all(map(np.array_equal, before, within))
    assert all(map(np.array_equal, before, state_of(tiny_network)))


def norm_of(network):
    (norm,) = (
        layer
        for layer in network.get_layer("tiny").layers
        if isinstance(layer, keras.layers.BatchNormalization)
    )
    return norm


def test_statistics_are_the_mean_over_the_batches_they_are_taken_from(tiny_network):
    norm, momentum = norm_of(tiny_network), norm_of(tiny_network).momentum
    convolution = tiny_network.get_layer("tiny").layers[1]
    retake_statistics(tiny_network, batches(3))
    means = [np.asarray(convolution(each / 127.5 - 1)).mean((0, 1, 2)) for each in batches(3)]
    assert np.allclose(norm.moving_mean, np.mean(means, axis=0), atol=1e-4)
    assert norm.momentum == momentum


def test_frozen_statistics_stay(tiny_network):
    norm = norm_of(tiny_network)
    norm.trainable = False
    before = np.asarray(norm.moving_mean).copy()
    retake_statistics(tiny_network, batches())
    assert np.array_equal(norm.moving_mean, before)


ON_JAX = """
import keras
import numpy as np
from tests.unit.trainer.fit.test_weight_averaging import batches
from facetag_trainer.fit.weight_averaging import retake_statistics
from facetag.vision.network.attributes import build_network
from facetag.vision.network.spec import NetworkSpec
network = build_network(NetworkSpec(backbone="tiny", input_size=32, hidden_units=8))
tiny = network.get_layer("tiny")
convolution, norm = tiny.layers[1], tiny.layers[2]
for seed in (1, 2):
    retake_statistics(network, batches(3, seed))
    means = [np.mean(convolution(each / 127.5 - 1), (0, 1, 2)) for each in batches(3, seed)]
    assert np.allclose(norm.moving_mean, np.mean(means, axis=0), atol=1e-4)
assert keras.backend.backend() == "jax" and norm.momentum == 0.99
"""


@pytest.mark.timeout(180)
def test_statistics_are_the_same_mean_on_jax():
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    run = subprocess.run(
        [sys.executable, "-c", ON_JAX], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
