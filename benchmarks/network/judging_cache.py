"""The crops that judging a network takes: all held-out faces, and some to take statistics from.

They are a fifth of all, so that they are cut in a fifth of the time.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facetag.settings import Settings
from facetag.vision.bundle import Bundle
from facetag_trainer.data.cache_preparation import PreparePlan, read_clean_set
from facetag_trainer.data.crop_cache import CropCache, name_of, open_cache, write_cache
from facetag_trainer.data.shard_index import index_shards
from facetag_trainer.data.splits import hold_out

STATISTICS_IMAGES = 1280
"""Training images, those of the least SHA-256, from which batch norms take their statistics."""


def cut_to_judge(
    shards: Sequence[Path], root: Path, bundle: Bundle, settings: Settings
) -> CropCache:
    """Return the crops below `root`, cut as the bundle wants them; they are cut only once.

    What is held out is the same as in `facetag train` of these shards. Raises ShardUnreadable if a
    shard cannot be read.
    """
    indexes = index_shards(shards, settings)
    digests = [shard.sha256 for shard in indexes]
    size, rule = bundle.spec.input_size, bundle.crop_rule
    folder = root / name_of([digests, "to judge", STATISTICS_IMAGES], rule, size, settings)
    if (folder / "cache.json").exists():
        return open_cache(folder)
    cleaned, hashes = read_clean_set(indexes)
    samples = cleaned.samples
    validation = hold_out(samples, hashes, PreparePlan(settings).validation_share)
    training = sorted(np.flatnonzero(~validation), key=lambda index: samples[index].sha256)
    chosen = np.sort([*np.flatnonzero(validation), *training[:STATISTICS_IMAGES]])
    write_cache(
        folder,
        [samples[index] for index in chosen],
        hashes=hashes[chosen],
        validation=validation[chosen],
        rule=rule,
        size=size,
        settings=settings,
        facts={"shards": {}, "dropped": {}},
    )
    return open_cache(folder)
