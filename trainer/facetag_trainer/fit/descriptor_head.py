"""An output beside the heads while a network is fitted: a face recogniser's descriptor of the face.

Features from which such a descriptor can be told know what faces look like beyond the labels of one
collection (hints to a student's hidden layer; Romero et al. 2015, arXiv:1412.6550). The layer is
left out of what is written: no bundle computes a descriptor.
"""

from typing import Any

import keras
from keras import layers

from facetag.vision.network.attributes import take_features
from facetag.vision.network.spec import NetworkSpec

DESCRIPTOR = "descriptor"


def add_descriptor_head(network: keras.Model, spec: NetworkSpec, units: int) -> keras.Model:
    """Return the network with one more output: a linear reading of its features, (n, units)."""
    features = take_features(network, spec).output
    reading = layers.Dense(units, dtype="float32", name=DESCRIPTOR)(features)
    outputs: dict[str, Any] = network.output
    return keras.Model(network.input, {**outputs, DESCRIPTOR: reading}, name=network.name)
