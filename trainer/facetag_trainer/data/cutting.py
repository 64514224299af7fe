"""Cuts a crop cache down by content: to what a trial affords, or by a fold of what is fitted on."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.splits import VALIDATION, Fold, split_folds, split_held_out


@dataclass(frozen=True, slots=True)
class ChosenCrops:
    """The crops at some places of a cache; they stay on disk, and each is paged in as needed."""

    crops: npt.NDArray[np.uint8]
    places: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        chosen: npt.NDArray[np.uint8] = self.crops[self.places[index]]
        return chosen


def cut_down(cache: CropCache, part: float) -> CropCache:
    """Return a cache of a share of the training samples, and of those that are validated with.

    A sample's place follows from its content alone: a smaller share is a part of a larger one. What
    calibrates and judges is left out; where nothing validates, in a tiny set, all that is held out
    stays, as `fit` has it.
    """
    held_out = np.flatnonzero(cache.validation)
    chosen = split_held_out(cache.hashes[held_out]) == VALIDATION
    kept = ~cache.validation & (_positions(cache.hashes) < part)
    kept[held_out[chosen] if chosen.any() else held_out] = True
    return _take(cache, kept, part=part)


def leave_out(cache: CropCache, fold: Fold) -> CropCache:
    """Return a cache without one fold of its training samples; what is held out stays."""
    return _take(cache, ~in_fold(cache, fold), fold=str(fold))


def in_fold(cache: CropCache, fold: Fold) -> npt.NDArray[np.bool_]:
    """Return which samples (n,) of a cache are training samples of this fold."""
    members: npt.NDArray[np.bool_] = ~cache.validation
    members[members] = split_folds(cache.hashes[members], fold.of) == fold.number
    return members


def _take(cache: CropCache, kept: npt.NDArray[np.bool_], **facts: Any) -> CropCache:
    places = np.flatnonzero(kept)
    return replace(
        cache,
        crops=cast(Any, ChosenCrops(cache.crops, places)),
        labels={name: values[places] for name, values in cache.labels.items()},
        inside=cache.inside[places],
        validation=cache.validation[places],
        hashes=cache.hashes[places],
        facts={**cache.facts, "n": len(places), **facts},
    )


def _positions(hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return a number in 0..1 for each hash (n, 32), independent of what splits held-out images."""
    digests = (hashlib.sha256(b"part" + one.tobytes()).hexdigest() for one in hashes)
    return np.array([int(digest[:8], 16) / 2**32 for digest in digests])
