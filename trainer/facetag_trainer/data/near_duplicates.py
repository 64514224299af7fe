"""Find evaluated images with a near twin in the training data: they are easier than new ones."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facetag.errors import ImageUnreadable
from facetag.settings import Settings
from facetag.vision.difference_hash import Hashes
from facetag_trainer.data.shard_index import hash_sample
from facetag_trainer.data.shards import BadSample, read_shards
from facetag_trainer.data.splits import look_alikes


def find_twins(
    hashes: Hashes,
    shards: Sequence[Path],
    settings: Settings,
    *,
    on_progress: Callable[[int], None] = lambda done: None,
) -> npt.NDArray[np.bool_]:
    """Return which images (n, 32) look like an image of the shards (at most 16 of 256 bits differ).

    Compares with every labelled image that can be decoded, also one that cleaning would drop.
    Raises ShardUnreadable where a shard cannot be read.
    """
    known = []
    for item in read_shards(shards):
        if isinstance(item, BadSample):
            continue
        try:
            known.append(hash_sample(item, settings))
        except ImageUnreadable:
            continue
        on_progress(1)
    return look_alikes(hashes, np.array(known, np.uint8).reshape(-1, hashes.shape[1]))
