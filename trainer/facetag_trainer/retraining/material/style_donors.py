"""Choose known photos that are shown in the style of new ones, so that more faces teach it.

Each is like its donor in age, gender and race: otherwise the style would no longer tell whom the
new photos show.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from facetag.heads import AGE, HEADS
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.photo_style import NO_DONOR

Indices = npt.NDArray[np.intp]
PER_NEW = 3
"""Known photos that take the style of each new one, if so many are like it."""
NEAR_YEARS = 5.0
"""Faces are alike if their ages differ by no more, and all other labels are the same."""


def choose_donors(new: CropCache, earlier: Sequence[CropCache], seed: int) -> list[Indices]:
    """Return, for the images (n,) of each earlier cache, the new image that is its donor.

    NO_DONOR stands for none: for held-out images, and those unlike all new ones. A label that is
    missing is like any.
    """
    rng = np.random.default_rng(seed)
    labels = {
        head.name: np.concatenate([cache.labels[head.name] for cache in earlier]) for head in HEADS
    }
    free = np.concatenate([~cache.validation for cache in earlier])
    donors = np.full(len(free), NO_DONOR, np.intp)
    for index in rng.permutation(np.flatnonzero(~new.validation)):
        alike = free.copy()
        for name, values in labels.items():
            alike &= ~(np.abs(values - new.labels[name][index]) > _farthest(name))
        chosen = rng.permutation(np.flatnonzero(alike))[:PER_NEW]
        donors[chosen], free[chosen] = index, False
    return np.split(donors, np.cumsum([len(cache.validation) for cache in earlier])[:-1])


def _farthest(head: str) -> float:
    return NEAR_YEARS if head == AGE.name else 0.0
