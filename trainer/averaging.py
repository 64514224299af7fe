"""Measuring and keeping the running average of a fit's weights instead of its last weights.

The optimizer averages what it trains (Polyak averaging, exponentially weighted). Batch norms'
moving statistics belong to the weights that they were taken with, not to the average: they are
taken anew from training images, as for stochastic weight averaging (Izmailov et al. 2018,
arXiv:1803.05407). Frozen batch norms keep theirs.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

STATISTICS_BATCHES = 40
"""Training batches that batch norms' statistics are taken anew from."""


@contextmanager
def averaged_weights(
    network: keras.Model, images: Iterable[npt.NDArray[np.float32]]
) -> Iterator[None]:
    """Within the body the network has its averaged weights; after it, every variable as before.

    `images` are batches of training images (n, size, size, 3). The network's optimizer must have
    been made with `use_ema`.
    """
    before = [np.asarray(variable).copy() for variable in network.variables]
    try:
        network.optimizer.finalize_variable_values(network.trainable_variables)
        for variable in network.trainable_variables:
            # JAX gives away the arrays that a network predicts with: the average keeps its own.
            variable.assign(np.asarray(variable).copy())
        retake_statistics(network, images)
        yield
    finally:
        for variable, value in zip(network.variables, before, strict=True):
            variable.assign(value)


def retake_statistics(network: keras.Model, images: Iterable[npt.NDArray[np.float32]]) -> None:
    """Set the trainable batch norms' statistics to their mean over these batches of images."""
    norms = [layer for layer in _batch_norms(network) if layer.trainable]
    momenta = [layer.momentum for layer in norms]
    if not norms:
        return
    try:
        for index, batch in enumerate(images):
            for layer in norms:
                # The k-th batch counts 1/k, which makes the moving statistics a plain mean.
                layer.momentum = index / (index + 1)
            network(batch, training=True)
    finally:
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum


def _batch_norms(layer: Any) -> Iterator[Any]:
    if isinstance(layer, keras.layers.BatchNormalization):
        yield layer
    for inner in getattr(layer, "layers", ()):
        yield from _batch_norms(inner)
