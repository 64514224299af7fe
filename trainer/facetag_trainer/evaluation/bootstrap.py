"""How far a measure would wander on other images of the same kind: seeded bootstrap intervals."""

import zlib

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float64]
ROUNDS = 1000
FEWEST = 10
"""Images below which an interval would tell of nothing but themselves."""


def draw_weights(count: int, name: str, *, seed: int = 1, rounds: int = ROUNDS) -> Weights:
    """Return how often each image is drawn in each round, (rounds, count); rows sum to `count`.

    The draws follow from the seed and the name, so that a group's interval depends on no other.
    """
    rng = np.random.default_rng((seed, zlib.crc32(name.encode())))
    drawn = rng.integers(0, count, (rounds, count))
    flat = drawn + count * np.arange(rounds)[:, None]
    return np.bincount(flat.ravel(), minlength=rounds * count).reshape(rounds, count).astype(float)


def draw_beside_all(count: int, name: str, *, seed: int = 1) -> Weights:
    """Return weights (1 + ROUNDS, count): a row of ones, which gives the value itself, then draws.

    The row alone where there are fewer than FEWEST images.
    """
    ones = np.ones((1, count))
    if count < FEWEST:
        return ones
    return np.concatenate([ones, draw_weights(count, name, seed=seed)])


def central_interval(values: Weights, share: float = 0.95) -> tuple[float, float] | None:
    """Return the central share of values (rounds,); None unless half of the rounds have one."""
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values) or not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)
