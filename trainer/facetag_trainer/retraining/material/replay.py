"""Join crop caches: all new images and a share of the earlier ones, against forgetting.

Rehearsal, as in Robins, "Catastrophic forgetting, rehearsal and pseudorehearsal" (1995).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from facetag.heads import HEADS
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.shards import name_apart

Indices = npt.NDArray[np.intp]
FEWEST = 300
"""Training images that are replayed of a round, if it has them."""


class JoinedCrops:
    """The crops of several caches as one array; they stay on disk and are read as needed."""

    def __init__(self, parts: Sequence[tuple[npt.NDArray[np.uint8], Indices]]) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(indices) for _, indices in parts])
        self.shape = (int(self._ends[-1]), *parts[0][0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        """Return one crop; raises IndexError past the end."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = int(np.searchsorted(self._ends, index, side="right"))
        crops, indices = self._parts[part]
        before = 0 if part == 0 else int(self._ends[part - 1])
        return cast(npt.NDArray[np.uint8], crops[indices[index - before]])


def count_replay(training: int, share: float) -> int:
    """Return how many of a round's training images are replayed: a share, but not too few.

    Otherwise many images of one domain would wash out a small one.
    """
    return min(training, max(round(share * training), FEWEST)) if share else 0


def choose_replay(cache: CropCache, share: float, seed: int) -> Indices:
    """Return the indices of the replayed training images and of all held-out images, in order.

    The seed decides which are replayed.
    """
    training = np.flatnonzero(~cache.validation)
    count = count_replay(len(training), share)
    chosen = np.random.default_rng(seed).permutation(training)[:count]
    return np.sort(np.concatenate([chosen, np.flatnonzero(cache.validation)]))


def join_caches(parts: Sequence[tuple[CropCache, Indices]]) -> CropCache:
    """Return the chosen images of the caches as one; all must have the same crop rule and size."""
    caches = [cache for cache, _ in parts]

    def gather(column: Any) -> Any:
        return np.concatenate([column(cache)[indices] for cache, indices in parts])

    return CropCache(
        crops=cast(Any, JoinedCrops([(cache.crops, indices) for cache, indices in parts])),
        labels={
            head.name: gather(lambda cache, name=head.name: cache.labels[name]) for head in HEADS
        },
        inside=gather(lambda cache: cache.inside),
        validation=gather(lambda cache: cache.validation),
        hashes=gather(lambda cache: cache.hashes),
        facts={
            "size": caches[0].size,
            "crop": caches[0].facts["crop"],
            "n": sum(len(indices) for _, indices in parts),
            # A cache may be there twice.
            "shards": name_apart(
                dict.fromkeys(pair for cache in caches for pair in cache.facts["shards"].items())
            ),
            "dropped": {},
        },
    )


def keep_some(cache: CropCache, members: npt.NDArray[np.bool_]) -> CropCache:
    """Return the cache with only the images of the mask `members` (n,)."""
    joined = join_caches([(cache, np.flatnonzero(members))])
    return replace(joined, facts={**joined.facts, "shards": cache.facts["shards"]})
