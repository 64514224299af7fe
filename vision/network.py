"""The networks: a backbone's pooled features, and per head Dense, Dropout, Dense.

The architecture is the student paper's: InceptionV3 with its first 52 layers frozen; age through a
ReLU, gender through a sigmoid, race through a softmax. A network is built by code from a
`NetworkSpec` (what a bundle's manifest states); only weights are ever loaded. Backend-neutral:
Keras alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import keras
from keras import layers

from facetag.heads import HEADS_BY_NAME, Head

AGE_SCALE = 50.0
"""Years in the unit that the age head works in, so that its weights are of the others' size."""
MEAN_AGE = 33.0


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """All that determines a network's architecture."""

    backbone: str = "inceptionv3"
    input_size: int = 160
    heads: tuple[str, ...] = tuple(HEADS_BY_NAME)
    hidden_units: int = 256
    dropout: float = 0.4

    def to_json(self) -> dict[str, Any]:
        """Return the spec as a bundle's manifest states it."""
        return {**asdict(self), "heads": list(self.heads)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "NetworkSpec":
        """Return the spec that a manifest states, ignoring what is not the network's."""
        known = {name: values[name] for name in (field.name for field in fields(cls))}
        return cls(**{**known, "heads": tuple(known["heads"])})


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


def build_backbone(name: str, input_size: int) -> keras.Model:
    """Build a backbone: scaled images (n, size, size, 3) in -1..1 to pooled features (n, width)."""
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone {name!r}: give one of {', '.join(BACKBONES)}")
    return BACKBONES[name](input_size)


def load_backbone_weights(network: keras.Model, name: str, path: Path) -> None:
    """Load a backbone's `.weights.h5` file (Keras 3, without its top) into a built network."""
    network.get_layer(name).load_weights(path)


def freeze_layers(network: keras.Model, name: str, count: int) -> None:
    """Freeze the backbone's first `count` layers; their batch norms keep their statistics."""
    for index, layer in enumerate(network.get_layer(name).layers):
        layer.trainable = index >= count


def _inceptionv3(input_size: int) -> keras.Model:
    return keras.applications.InceptionV3(
        include_top=False,
        weights=None,
        input_shape=(input_size, input_size, 3),
        pooling="avg",
        name="inceptionv3",
    )


def _tiny(input_size: int) -> keras.Model:
    """A backbone of some hundred weights, for tests: it learns little, but takes every step."""
    images = keras.Input((input_size, input_size, 3))
    x = layers.Conv2D(8, 5, strides=4, padding="same", use_bias=False)(images)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(x)
    return keras.Model(images, layers.GlobalAveragePooling2D()(x), name="tiny")


BACKBONES: dict[str, Callable[[int], keras.Model]] = {"inceptionv3": _inceptionv3, "tiny": _tiny}


def _head_layers(head: Head, spec: NetworkSpec) -> Callable[[Any], Any]:
    hidden = layers.Dense(spec.hidden_units, activation="relu", name=f"{head.name}_hidden")
    dropout = layers.Dropout(spec.dropout, name=f"{head.name}_dropout")
    chain: Sequence[Callable[[Any], Any]]
    if head.kind == "regression":
        start = keras.initializers.Constant(MEAN_AGE / AGE_SCALE)
        output = layers.Dense(
            1, activation="relu", bias_initializer=start, name=f"{head.name}_scaled"
        )
        chain = (hidden, dropout, output, layers.Rescaling(AGE_SCALE, name=head.name))
    else:
        activation = "sigmoid" if head.kind == "binary" else "softmax"
        output = layers.Dense(head.units, activation=activation, name=head.name)
        chain = (hidden, dropout, output)

    def apply(features: Any) -> Any:
        for layer in chain:
            features = layer(features)
        return features

    return apply
