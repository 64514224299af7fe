"""Backbones for prediction alone: batch norms folded into the convolutions before them."""

from collections import Counter
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers


def fold_norms(backbone: keras.Model, dtype: str = "float32") -> keras.Model:
    """Return a copy of a backbone that computes in `dtype`, with each foldable batch norm folded.

    Foldable is one that alone follows a convolution; others are kept. Pooled features are float32.
    """
    folded = _find_foldable(backbone)
    norms = {norm.name for norm in folded.values()}

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if not isinstance(layer, layers.GlobalAveragePooling2D):
            config["dtype"] = dtype
        if layer.name in folded:
            config["use_bias"] = True
        return layer.__class__.from_config(config)

    def call(layer: keras.layers.Layer, *inputs: Any, **options: Any) -> Any:
        return inputs[0] if layer.name in norms else layer(*inputs, **options)

    copied = keras.models.clone_model(backbone, clone_function=copy, call_function=call)
    for layer in copied.layers:
        if layer.name in folded:
            layer.set_weights(_fold(backbone.get_layer(layer.name), folded[layer.name]))
        elif layer.weights:
            layer.set_weights(backbone.get_layer(layer.name).get_weights())
    return copied


def _find_foldable(backbone: keras.Model) -> dict[str, Any]:
    """Return the batch norms that can be folded, by the name of the convolution before each."""
    inner = [layer for layer in backbone.layers if not isinstance(layer, layers.InputLayer)]
    consumers = Counter(id(one) for layer in inner for one in keras.tree.flatten(layer.input))
    makers = {id(layer.output): layer for layer in inner if type(layer) is layers.Conv2D}
    return {
        makers[id(norm.input)].name: norm
        for norm in inner
        if type(norm) is layers.BatchNormalization
        and id(norm.input) in makers
        and consumers[id(norm.input)] == 1
        and makers[id(norm.input)].activation is keras.activations.linear
    }


def _fold(convolution: Any, norm: Any) -> list[npt.NDArray[np.float32]]:
    """Return kernel (h, w, in, out) and bias (out,) of the two layers in one."""
    kernel, *bias = convolution.get_weights()
    mean, variance = norm.moving_mean.numpy(), norm.moving_variance.numpy()
    scale = 1 / np.sqrt(variance + norm.epsilon)
    if norm.gamma is not None:
        scale *= norm.gamma.numpy()
    shift = (sum(bias) - mean) * scale
    if norm.beta is not None:
        shift += norm.beta.numpy()
    return [kernel * scale, shift]
