"""Fused batch norms against Keras's own: the same numbers, the same statistics, the same names."""

import keras
import numpy as np
import pytest

from facetag.vision.network.backbones import build_backbone
from facetag_trainer.fit.fused_batch_norm import FusedBatchNormalization, fuse_norms

IMAGES = np.random.default_rng(3).uniform(-1, 1, (8, 64, 64, 3)).astype(np.float32)


@pytest.fixture
def pair():
    """Keras's backbone and its fused copy, with the same weights and statistics."""
    plain = build_backbone("cnn", 64)
    random = np.random.default_rng(4)
    plain.set_weights([random.uniform(0.2, 0.4, each.shape) for each in plain.get_weights()])
    fused = fuse_norms(plain)
    fused.set_weights(plain.get_weights())
    return plain, fused


def norms(network):
    return [each for each in network.layers if isinstance(each, FusedBatchNormalization)]


def test_every_norm_is_fused_and_no_layer_has_another_name(pair):
    plain, fused = pair
    kinds = [type(layer) for layer in plain.layers]
    assert len(norms(fused)) == kinds.count(keras.layers.BatchNormalization) > 0
    assert [each.name for each in fused.layers[1:]] == [each.name for each in plain.layers[1:]]
    assert fused.name == plain.name


@pytest.mark.parametrize("training", [False, True])
def test_features_and_moving_statistics_are_those_of_keras(pair, training):
    expected, found = (np.asarray(each(IMAGES, training=training)) for each in pair)
    assert found == pytest.approx(expected, rel=1e-3)
    for one, other in zip(*(each.get_weights() for each in pair), strict=True):
        assert other == pytest.approx(one, rel=1e-4)


def test_statistics_move_while_a_network_is_fitted_and_not_where_they_are_frozen(pair):
    _, fused = pair
    frozen, *others = norms(fused)
    frozen.trainable = False
    before = [layer.moving_mean.numpy() for layer in (frozen, *others)]
    fused(IMAGES, training=True)
    after = [layer.moving_mean.numpy() for layer in (frozen, *others)]
    moved = [not np.allclose(one, other) for one, other in zip(before, after, strict=True)]
    assert moved == [False] + [True] * len(others)


def test_gradients_are_those_of_keras(pair):
    import tensorflow as tf

    def gradients(network):
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(network(IMAGES, training=True) ** 2)
        return tape.gradient(value, [each.value for each in network.trainable_variables])

    for one, other in zip(*map(gradients, pair), strict=True):
        assert np.asarray(other) == pytest.approx(np.asarray(one), rel=0.02, abs=1e-5)
