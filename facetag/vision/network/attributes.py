"""The networks: a backbone's pooled features, and per head Dense, Dropout, Dense.

The architecture is the student paper's: one of three backbones; age through a ReLU, or as the mean
of a distribution over years; gender through a sigmoid, race through a softmax. A network is built
by code from a `NetworkSpec` (what a bundle's manifest states); only weights are ever loaded.
Backend-neutral: Keras alone.
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
"""Years in the unit that the age head works in, so that its weights are of the others' size."""
MEAN_AGE = 33.0
AGE_SPREAD = 20.0
"""Of ages about their mean, in years, as a fresh age head takes them to lie."""
YEARS = np.arange(MAX_AGE + 1, dtype=np.float32)
"""The ages that a distribution gives probabilities to."""


class Years(layers.Rescaling):
    """The age head's ReLU, in years; while the network is fitted, everything passes.

    A ReLU passes no gradient below zero: an adult who is once given less than nothing would never
    teach the head again.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the inputs in years (n, 1), rectified unless `training`."""
        return super().call(inputs if training else keras.ops.relu(inputs))


class MeanAge(layers.Layer):
    """The mean, in years (n, 1), of a distribution (n, 117) over `YEARS`.

    While the network is fitted the distribution itself passes: the loss is about all of it.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the distribution if `training`, else its mean."""
        return inputs if training else keras.ops.matmul(inputs, YEARS[:, None])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of what is predicted."""
        return (*input_shape[:-1], 1)


def build_network(spec: NetworkSpec, backbone: keras.Model | None = None) -> keras.Model:
    """Build a network with random weights.

    Input: float32 (n, size, size, 3), RGB in 0..255. Output: dict of (n, units) a head: years for
    age, probability of the second label for gender, probabilities for race. Raises ValueError for
    an unknown backbone or head. `backbone` stands in for the spec's own, for tests.
    """
    images = keras.Input((spec.input_size, spec.input_size, 3), name="image")
    scaled = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(images)
    features = (backbone or build_backbone(spec.backbone, spec.input_size))(scaled)
    outputs = {name: _head_layers(HEADS_BY_NAME[name], spec)(features) for name in spec.heads}
    return keras.Model(images, outputs, name=spec.backbone)


def build_head(name: str, spec: NetworkSpec, width: int) -> keras.Model:
    """Build one head alone, with random weights, to be fitted on pooled features.

    Input: float32 (n, width). Output: what the network gives for this head, (n, units) by its name.
    """
    features = keras.Input((width,), name="features")
    outputs = {name: _head_layers(HEADS_BY_NAME[name], spec)(features)}
    return keras.Model(features, outputs, name=f"{name}_head")


def take_features(network: keras.Model, spec: NetworkSpec) -> keras.Model:
    """Return the part of a network that all heads share: images to pooled features (n, width)."""
    return keras.Model(network.input, network.get_layer(f"{spec.heads[0]}_hidden").input)


def take_heads(network: keras.Model, spec: NetworkSpec) -> keras.Model:
    """Return the rest of a network: pooled features (n, width) to a dict of outputs a head."""
    return keras.Model(network.get_layer(f"{spec.heads[0]}_hidden").input, network.output)


def _head_layers(head: Head, spec: NetworkSpec) -> Callable[[Any], Any]:
    # Outputs stay in float32 under any dtype policy: bfloat16 would round ages to quarters.
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
