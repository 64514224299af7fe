"""Build the network of attributes: a backbone, then Dense, Dropout, Dense per head.

The architecture is the student paper's, with one of three backbones. Age passes through a ReLU or
is the mean of a distribution over years; gender passes through a sigmoid, race through a softmax.
Code builds a network from the `NetworkSpec` that a bundle's manifest states; only weights are ever
loaded. It uses Keras alone and works with any backend.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from facetag.heads import HEADS_BY_NAME, MAX_AGE, Head
from facetag.vision.network.backbones import build_backbone
from facetag.vision.network.spec import NetworkSpec

AGE_SCALE = 50.0
"""Years per unit of the age head, so that its weights are as large as other heads'."""
MEAN_AGE = 33.0
AGE_SPREAD = 20.0
"""Standard deviation in years of the ages that a new age head assumes, around MEAN_AGE."""
YEARS = np.arange(MAX_AGE + 1, dtype=np.float32)
"""The ages for which a distribution gives probabilities."""


class Years(layers.Rescaling):
    """Apply the age head's ReLU and scale to years; while the network is fitted, no ReLU.

    A ReLU passes no gradient below zero: an adult who once got a negative age would no longer
    change the head.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the inputs in years (n, 1), rectified unless `training`."""
        return super().call(inputs if training else keras.ops.relu(inputs))


class MeanAge(layers.Layer):
    """Compute the mean in years (n, 1) of a distribution (n, 117) over `YEARS`.

    While the network is fitted, the distribution itself passes, because the loss uses all of it.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the distribution if `training`, otherwise its mean."""
        return inputs if training else keras.ops.matmul(inputs, YEARS[:, None])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the predicted means."""
        return (*input_shape[:-1], 1)


def build_network(spec: NetworkSpec, backbone: keras.Model | None = None) -> keras.Model:
    """Build a network with random weights.

    Input: float32 (n, size, size, 3), RGB in 0..255. Output: a dict of (n, units) per head: years
    for age, the probability of the second label for gender, probabilities for race. Raises
    ValueError for an unknown backbone. `backbone` replaces the one that the spec names.
    """
    images = keras.Input((spec.input_size, spec.input_size, 3), name="image")
    scaled = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(images)
    features = (backbone or build_backbone(spec.backbone, spec.input_size))(scaled)
    outputs = {name: _head_layers(HEADS_BY_NAME[name], spec)(features) for name in spec.heads}
    return keras.Model(images, outputs, name=spec.backbone)


def build_head(name: str, spec: NetworkSpec, width: int) -> keras.Model:
    """Build a single head with random weights, to be fitted on pooled features.

    Input: float32 (n, width). Output: a dict with this head's (n, units), as the network gives it.
    """
    features = keras.Input((width,), name="features")
    outputs = {name: _head_layers(HEADS_BY_NAME[name], spec)(features)}
    return keras.Model(features, outputs, name=f"{name}_head")


def take_features(network: keras.Model, spec: NetworkSpec) -> keras.Model:
    """Return the part that all heads share, from images to pooled features (n, width)."""
    return keras.Model(network.input, network.get_layer(f"{spec.heads[0]}_hidden").input)


def take_heads(network: keras.Model, spec: NetworkSpec) -> keras.Model:
    """Return the heads of a network, from pooled features (n, width) to a dict of outputs."""
    return keras.Model(network.get_layer(f"{spec.heads[0]}_hidden").input, network.output)


def _head_layers(head: Head, spec: NetworkSpec) -> Callable[[Any], Any]:
    # Outputs are float32 under any dtype policy: bfloat16 would round ages to quarters of a year.
    hidden = layers.Dense(spec.hidden_units, activation="relu", name=f"{head.name}_hidden")
    dropout = layers.Dropout(spec.dropout, name=f"{head.name}_dropout")
    chain: Sequence[Callable[[Any], Any]]
    if head.kind == "regression" and spec.age_output == "distribution":
        output = layers.Dense(
            len(YEARS),
            activation="softmax",
            bias_initializer=_typical_ages,
            dtype="float32",
            name=f"{head.name}_distribution",
        )
        chain = (hidden, dropout, output, MeanAge(dtype="float32", name=head.name))
    elif head.kind == "regression":
        start = keras.initializers.Constant(MEAN_AGE / AGE_SCALE)
        output = layers.Dense(
            1, bias_initializer=start, dtype="float32", name=f"{head.name}_scaled"
        )
        chain = (hidden, dropout, output, Years(AGE_SCALE, dtype="float32", name=head.name))
    else:
        activation = "sigmoid" if head.kind == "binary" else "softmax"
        output = layers.Dense(head.units, activation=activation, dtype="float32", name=head.name)
        chain = (hidden, dropout, output)

    def apply(features: Any) -> Any:
        for layer in chain:
            features = layer(features)
        return features

    return apply


def _typical_ages(shape: Any, dtype: Any = None) -> Any:  # noqa: ARG001
    """Return the logits of a normal distribution of ages."""
    return keras.ops.convert_to_tensor(-0.5 * ((YEARS - MEAN_AGE) / AGE_SPREAD) ** 2, dtype)
