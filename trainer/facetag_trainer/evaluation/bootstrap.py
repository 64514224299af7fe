"""Compute seeded bootstrap intervals: how a measure varies with the choice of images."""

import zlib

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float64]
ROUNDS = 1000
FEWEST = 10
"""With fewer images there is no interval: it would say nothing about other images."""


def draw_weights(count: int, name: str, *, seed: int = 1, rounds: int = ROUNDS) -> Weights:
    """Return how often each round draws each image, (rounds, count); rows sum to `count`.

    The draws follow from the seed and the name, so a group's interval does not depend on others.
    """
    rng = np.random.default_rng((seed, zlib.crc32(name.encode())))
    drawn = rng.integers(0, count, (rounds, count))
    flat = drawn + count * np.arange(rounds)[:, None]
    return np.bincount(flat.ravel(), minlength=rounds * count).reshape(rounds, count).astype(float)


def draw_beside_all(count: int, name: str, *, seed: int = 1) -> Weights:
    """Return weights (1 + ROUNDS, count): a row of ones, which gives the value itself, then draws.

    With fewer than FEWEST images, only the first row.
    """
    ones = np.ones((1, count))
    if count < FEWEST:
        return ones
    return np.concatenate([ones, draw_weights(count, name, seed=seed)])


def central_interval(values: Weights, share: float = 0.95) -> tuple[float, float] | None:
    """Return the central interval of values (rounds,); None if over half of them are NaN."""
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values) or not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)
