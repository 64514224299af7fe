"""Make a crop cache from shards: read, clean, split, detect and cut, once for the same shards."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facetag.errors import ShardUnreadable
from facetag.settings import Settings
from facetag.vision.crop import CropRule, UprightCrop
from facetag.vision.difference_hash import Hashes
from facetag_trainer.data.clean_set import CleanSet, clean, drop_undecodable
from facetag_trainer.data.crop_cache import CropCache, cache_key, open_cache, write_cache
from facetag_trainer.data.shard_index import ShardIndex, index_shards, shards_of_images
from facetag_trainer.data.shards import name_apart
from facetag_trainer.data.splits import hold_out


@dataclass(frozen=True, slots=True)
class PreparePlan:
    """All that decides a crop cache besides the shards."""

    settings: Settings = field(repr=False)
    """They decide which images are decoded, and how the detector looks for faces."""
    size: int = 160
    validation_share: float = 0.1
    rule: CropRule = field(default_factory=UprightCrop)


def prepare_cache(
    shards: Sequence[Path],
    root: Path,
    plan: PreparePlan,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> CropCache:
    """Return the crop cache of the shards below `root`; it is made unless it is complete already.

    `on_progress` gets how many faces are cut out, and of how many. Raises ShardUnreadable if a
    shard cannot be read, and if no usable image remains.
    """
    indexes = index_shards(shards, plan.settings)
    digests = [shard.sha256 for shard in indexes]
    key = cache_key(digests, plan.rule, plan.size, plan.validation_share, plan.settings)
    folder = root / key
    if (folder / "cache.json").exists():
        return open_cache(folder)
    cleaned, hashes = read_clean_set(indexes)
    if not cleaned.samples:
        raise ShardUnreadable(
            "The shards hold no usable image: `facetag train --help` says how to label images."
        )
    total = len(cleaned.samples)
    on_progress(0, total)
    # Names alone: manifests say nothing of folders.
    names = name_apart(zip((path.name for path in shards), digests, strict=True))
    write_cache(
        folder,
        cleaned.samples,
        hashes=hashes,
        validation=hold_out(cleaned.samples, hashes, plan.validation_share),
        rule=plan.rule,
        size=plan.size,
        settings=plan.settings,
        facts={"shards": names, "dropped": cleaned.dropped},
        on_progress=lambda done: on_progress(done, total),
    )
    return open_cache(folder)


def read_clean_set(shards: Sequence[ShardIndex]) -> tuple[CleanSet, Hashes]:
    """Return the samples of the shards that can be fitted on, and their difference hashes (n, 32).

    Raises ShardUnreadable where a shard cannot be read.
    """
    homes = shards_of_images(shards)
    return drop_undecodable(
        clean(item for shard in shards for item in shard.items),
        lambda sample: homes[sample.sha256].hash_image(sample),
    )
