"""Build the backbones, which turn scaled images into pooled features, and load their weights.

`cnn` is a small network of four convolution blocks that is fitted from random weights. `xception`
stays frozen under new layers. `inceptionv3` ships. Keras alone is used, with any backend.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from keras import layers

from facetag.errors import FacetagError
from facetag.vision.network.spec import APPLICATIONS, BACKBONES

IMAGENET = "imagenet"
"""Stands for the ImageNet weights that Keras publishes and downloads, instead of a file."""
FROZEN_LAYERS = {"cnn": 0, "xception": 133, "inceptionv3": 52, "tiny": 0}
"""Number of first layers that keep their starting weights, as in the student paper."""
CNN_WIDTHS = (32, 64, 128, 256)


def build_backbone(name: str, input_size: int) -> keras.Model:
    """Build a backbone with random weights.

    Input: scaled images (n, size, size, 3) in -1..1. Output: pooled features (n, width). Raises
    ValueError for an unknown name.
    """
    if name not in _BUILDERS:
        raise ValueError(f"unknown backbone {name!r}: use {', '.join(BACKBONES)}")
    return _BUILDERS[name](input_size)


def load_backbone_weights(network: keras.Model, name: str, path: Path) -> None:
    """Load a backbone's `.weights.h5` file (Keras 3, without its top) into a built network.

    Raises FacetagError for any other file.
    """
    try:
        network.get_layer(name).load_weights(path)
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise FacetagError(
            f"{path} holds no weights of {name} without its top: give a .weights.h5 file that "
            "Keras 3 saved of this backbone."
        ) from error


def load_imagenet_weights(network: keras.Model, name: str) -> None:
    """Load the ImageNet weights that Keras publishes into a built network's backbone.

    Keras downloads them once into its own folder and checks them. Raises FacetagError if there are
    none for this backbone, or if the download fails.
    """
    if name not in APPLICATIONS:
        raise FacetagError(
            f"Keras publishes no ImageNet weights for {name}: give a file of weights, or none."
        )
    backbone = network.get_layer(name)
    try:
        published = _application(name, backbone.input_shape[1], IMAGENET)
    except Exception as error:
        # Keras has no exception class of its own for a failed download.
        if "URL fetch failure" not in str(error):
            raise
        raise FacetagError(
            f"Keras could not download its ImageNet weights ({error}): give a file of weights."
        ) from error
    backbone.set_weights(published.get_weights())


def freeze_layers(network: keras.Model, name: str, count: int, *, norms: bool = False) -> None:
    """Freeze the backbone's first `count` layers, including the statistics of their batch norms.

    With `norms`, all batch norms of the backbone are frozen.
    """
    for index, layer in enumerate(network.get_layer(name).layers):
        frozen = norms and isinstance(layer, layers.BatchNormalization)
        layer.trainable = index >= count and not frozen


def convolutions(backbone: keras.Model) -> list[Any]:
    """Return a backbone's plain convolutions, in the order of its layers."""
    return [layer for layer in backbone.layers if isinstance(layer, layers.Conv2D)]


def _application(name: str, input_size: int, weights: str | None = None) -> keras.Model:
    build: Callable[..., keras.Model] = getattr(keras.applications, APPLICATIONS[name])
    return build(
        include_top=False,
        weights=weights,
        input_shape=(input_size, input_size, 3),
        pooling="avg",
        name=name,
    )


def _cnn(input_size: int) -> keras.Model:
    images = x = keras.Input((input_size, input_size, 3))
    for width in CNN_WIDTHS:
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(CNN_WIDTHS[-1], 3, padding="same", activation="relu")(x)
    return keras.Model(images, layers.GlobalAveragePooling2D()(x), name="cnn")


def _tiny(input_size: int) -> keras.Model:
    """Build a backbone of some hundred weights for tests."""
    images = keras.Input((input_size, input_size, 3))
    x = layers.Conv2D(8, 5, strides=4, padding="same", use_bias=False)(images)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(x)
    return keras.Model(images, layers.GlobalAveragePooling2D()(x), name="tiny")


_BUILDERS: dict[str, Callable[[int], keras.Model]] = {
    "cnn": _cnn,
    "xception": lambda input_size: _application("xception", input_size),
    "inceptionv3": lambda input_size: _application("inceptionv3", input_size),
    "tiny": _tiny,
}
