"""Which evaluated images have a near twin in the training data, and so are easier than new ones."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facetag.errors import ImageUnreadable
from facetag.settings import Settings
from facetag.vision.decode import decode_image
from facetag_trainer.data.shards import BadSample, Sample, read_shards
from facetag_trainer.data.splits import Hashes, difference_hash, look_alikes


def find_twins(
    hashes: Hashes,
    shards: Sequence[Path],
    settings: Settings,
    *,
    on_progress: Callable[[int], None] = lambda done: None,
) -> npt.NDArray[np.bool_]:
    """Return which images (n, 32) look like one of the shards' (at most 16 of 256 bits differ).

    Every image of the shards counts that can be decoded, also one that cleaning would drop. Raises
    ShardUnreadable where a shard cannot be read.
    """
    known = []
    for _, one in hash_images(shards, settings):
        known.append(one)
        on_progress(1)
    return look_alikes(hashes, np.array(known, np.uint8).reshape(-1, hashes.shape[1]))


def hash_images(
    shards: Sequence[Path], settings: Settings
) -> Iterator[tuple[Sample, npt.NDArray[np.uint8]]]:
    """Yield every labelled image of the shards that can be decoded, and its difference hash (32,).

    Raises ShardUnreadable where a shard cannot be read.
    """
    for item in read_shards(shards):
        if isinstance(item, BadSample):
            continue
        try:
            photo = decode_image(
                item.data, formats=settings.image_formats, max_pixels=settings.max_image_pixels
            )
        except ImageUnreadable:
            continue
        yield item, difference_hash(photo)
