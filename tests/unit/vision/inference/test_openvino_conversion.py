"""Folded batch norms change nothing, and rounding to 8 bits changes little."""

import keras
import numpy as np
import pytest
from keras import layers

from facetag.vision.inference.graph_export import compile_model
from facetag.vision.inference.openvino_conversion import fold_norms, quantize
from facetag.vision.network.backbones import build_backbone, convolutions

STEP = 1 / 255


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


def images(count=4):
    return np.random.default_rng(3).uniform(0, 1, (count, 16, 16, 3)).astype(np.float32)


@pytest.fixture
def backbone():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(32, 3, activation="relu", bias_initializer="random_normal")(inputs)
    x = layers.Conv2D(32, 3, activation="relu")(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


def ranges_of(backbone):
    within = backbone.layers[1](images())
    return [[0.0, 1.0], [0.0, float(keras.ops.max(within))]]


def test_features_are_nearly_those_of_floats(backbone):
    exact = backbone.predict_on_batch(images())
    rounded = quantize(backbone, ranges_of(backbone)).predict_on_batch(images())
    assert 0 < np.abs(rounded - exact).max() < 0.03 * np.abs(exact).max()


def test_inputs_are_rounded_to_steps_of_their_range_and_cut_at_its_ends():
    inputs = keras.Input((1, 1, 1))
    outputs = layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")(inputs)
    rounded = quantize(keras.Model(inputs, outputs), [[0.0, 1.0]])
    given = np.float32([0, STEP, 1.4 * STEP, 0.5, 1, 3, -1]).reshape(-1, 1, 1, 1)
    found = rounded.predict_on_batch(given).ravel()
    assert found == pytest.approx([0, STEP, STEP, 128 * STEP, 1, 1, 0], abs=1e-6)


def test_a_kernel_is_rounded_in_each_output_channels_own_range():
    inputs = keras.Input((1, 1, 2))
    model = keras.Model(inputs, layers.Conv2D(3, 1, use_bias=False)(inputs))
    kernel = np.float32([[1.0, 0.001, 0], [0.3, 0.0003, 0]]).reshape(1, 1, 2, 3)
    model.set_weights([kernel])
    rounded = quantize(model, [[0.0, 1.0]])
    found = rounded.predict_on_batch(np.float32([0, 1]).reshape(1, 1, 1, 2)).ravel()
    assert found == pytest.approx([38 / 127, 0.001 * 38 / 127, 0], rel=1e-4, abs=1e-7)


def test_a_convolution_without_a_range_is_left_as_it_is(backbone):
    same = quantize(backbone, [None, None])
    assert np.array_equal(same.predict_on_batch(images()), backbone.predict_on_batch(images()))
    with pytest.raises(ValueError, match="argument"):
        quantize(backbone, [[0.0, 1.0]])
    assert len(convolutions(backbone)) == 2


def test_compiled_it_gives_what_the_rounded_floats_give(backbone):
    rounded = quantize(backbone, ranges_of(backbone))
    (found,) = compile_model(rounded)(images())
    assert np.allclose(found, rounded.predict_on_batch(images()), rtol=0.02, atol=2e-3)
