"""A backbone with folded batch norms gives what the backbone gives."""

import keras
import numpy as np
import pytest
from keras import layers

from facetag.vision.inference.folding import fold_norms
from facetag.vision.network.backbones import build_backbone


def shake(backbone):
    """Give every batch norm statistics, scales and offsets of its own."""
    rng = np.random.default_rng(1)
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            for variable in layer.weights:
                variable.assign(rng.uniform(0.5, 1.5, variable.shape).astype(np.float32))
    return backbone


def norms_of(backbone):
    return [one for one in backbone.layers if isinstance(one, layers.BatchNormalization)]


def images_of(size):
    return np.random.default_rng(2).uniform(-1, 1, (2, size, size, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "kept"), [("inceptionv3", 0), ("xception", 34), ("cnn", 0), ("tiny", 0)]
)
def test_a_folded_backbone_gives_the_same_features(name, kept):
    backbone = shake(build_backbone(name, 75))
    folded = fold_norms(backbone)
    # Xception's are behind separable convolutions for the most part, which are left alone.
    assert len(norms_of(folded)) == kept < len(norms_of(backbone))
    expected = backbone.predict_on_batch(images_of(75))
    assert np.allclose(folded.predict_on_batch(images_of(75)), expected, rtol=1e-3, atol=1e-4)


def test_a_norm_that_shares_its_convolution_is_kept():
    inputs = keras.Input((16, 16, 3))
    shared = layers.Conv2D(4, 3, padding="same")(inputs)
    active = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    parts = [shared, layers.BatchNormalization()(shared), layers.BatchNormalization()(active)]
    outputs = layers.GlobalAveragePooling2D()(layers.Concatenate()(parts))
    backbone = shake(keras.Model(inputs, outputs))
    folded = fold_norms(backbone)
    assert len(norms_of(folded)) == 2
    expected = backbone.predict_on_batch(images_of(16))
    assert np.allclose(folded.predict_on_batch(images_of(16)), expected, atol=1e-5)


def test_a_bias_before_the_norm_is_folded_too():
    inputs = keras.Input((16, 16, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, bias_initializer="ones")(inputs))
    backbone = shake(keras.Model(inputs, layers.GlobalAveragePooling2D()(x)))
    folded = fold_norms(backbone)
    assert not norms_of(folded)
    expected = backbone.predict_on_batch(images_of(16))
    assert np.allclose(folded.predict_on_batch(images_of(16)), expected, atol=1e-5)


def test_in_bfloat16_weights_and_layers_are_that_and_features_are_not():
    folded = fold_norms(build_backbone("tiny", 32), "bfloat16")
    assert {weight.dtype for weight in folded.weights} == {"bfloat16"}
    assert folded.get_layer(index=1).compute_dtype == "bfloat16"
    assert folded.output.dtype == "float32"
