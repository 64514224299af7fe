"""Give a network the running average of its weights, which is measured and kept.

The optimizer averages the trainable weights (Polyak averaging, exponentially weighted). The moving
statistics of batch norms do not fit the average, so they are computed again from training images,
as in stochastic weight averaging (Izmailov et al. 2018, arXiv:1803.05407). Frozen batch norms keep
theirs.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

STATISTICS_BATCHES = 40
"""Training batches from which the statistics of batch norms are computed again."""


@contextmanager
def averaged_weights(
    network: keras.Model, images: Iterable[npt.NDArray[np.float32]]
) -> Iterator[None]:
    """Give the network its averaged weights within the body, and its own variables after it.

    `images` are batches of training images (n, size, size, 3). The network's optimizer must have
    been made with `use_ema`.
    """
    before = [np.asarray(variable).copy() for variable in network.variables]
    try:
        network.optimizer.finalize_variable_values(network.trainable_variables)
        for variable in network.trainable_variables:
            # JAX donates the arrays that a network predicts with, so the average needs a copy.
            variable.assign(np.asarray(variable).copy())
        retake_statistics(network, images)
        yield
    finally:
        for variable, value in zip(network.variables, before, strict=True):
            variable.assign(value)


def retake_statistics(network: keras.Model, images: Iterable[npt.NDArray[np.float32]]) -> None:
    """Set the statistics of trainable batch norms to their mean over these batches of images."""
    norms = [layer for layer in _batch_norms(network) if layer.trainable]
    if not norms:
        return
    moving = [part for layer in norms for part in (layer.moving_mean, layer.moving_variance)]
    momenta = [layer.momentum for layer in norms]
    means: list[Any] = []
    try:
        for layer in norms:
            # With a momentum of 0, the moving statistics are those of the last batch.
            layer.momentum = 0.0
        for count, batch in enumerate(images, 1):
            _pass_training(network, batch)
            taken = [np.asarray(part) for part in moving]
            before = means or taken
            means = [mean + (new - mean) / count for mean, new in zip(before, taken, strict=True)]
    finally:
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum
    for part, mean in zip(moving, means, strict=False):
        part.assign(mean)


def _pass_training(network: keras.Model, batch: npt.NDArray[np.float32]) -> None:
    """Run a forward pass in training mode, without a step of the optimizer."""
    if keras.backend.backend() != "jax":
        network(batch, training=True)
        return
    # Without compilation JAX takes longer for a pass than for a dozen steps.
    trainable = [variable.value for variable in network.trainable_variables]
    others = [variable.value for variable in network.non_trainable_variables]
    after = _compiled_pass(network)(trainable, others, batch)
    for variable, value in zip(network.non_trainable_variables, after, strict=True):
        variable.assign(value)


@lru_cache(maxsize=1)
def _compiled_pass(network: keras.Model) -> Any:
    """Return a compiled pass that gives the non-trainable variables' values after it."""
    import jax

    def run(trainable: Any, others: Any, batch: Any) -> Any:
        return network.stateless_call(trainable, others, batch, training=True)[1]

    return jax.jit(run)


def _batch_norms(layer: Any) -> Iterator[Any]:
    if isinstance(layer, keras.layers.BatchNormalization):
        yield layer
    for inner in getattr(layer, "layers", ()):
        yield from _batch_norms(inner)
