"""From shards to a crop cache: read, clean, split, detect and cut, once for the same shards."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facetag.errors import ShardUnreadable
from facetag.settings import load_settings
from facetag.vision.crop import CropRule
from facetag_trainer.data.cleaning import CleanSet, clean, drop_undecodable
from facetag_trainer.data.crop_cache import CropCache, cache_key, open_cache, write_cache
from facetag_trainer.data.shards import name_apart, read_shards, shard_digest
from facetag_trainer.data.splits import Hashes, hold_out


@dataclass(frozen=True, slots=True)
class PreparePlan:
    """What a crop cache is made of besides the shards."""

    size: int = 160
    validation_share: float = 0.1
    rule: CropRule = field(default_factory=CropRule)


def prepare_cache(
    shards: Sequence[Path],
    root: Path,
    plan: PreparePlan,
    *,
    on_start: Callable[[int], None] = lambda total: None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> CropCache:
    """Return the crop cache of the shards below `root`, making it unless it is whole already.

    Raises ShardUnreadable where a shard cannot be read or nothing usable remains.
    """
    digests = [shard_digest(path) for path in shards]
    key = cache_key(digests, plan.rule, plan.size, plan.validation_share)
    folder = root / key
    if (folder / "cache.json").exists():
        return open_cache(folder)
    cleaned, hashes = read_clean_set(shards)
    if not cleaned.samples:
        raise ShardUnreadable("Nothing usable remains of the shards: see `facetag train --help`.")
    on_start(len(cleaned.samples))
    # Of folders nothing is told.
    names = name_apart(zip((path.name for path in shards), digests, strict=True))
    write_cache(
        folder,
        cleaned.samples,
        hashes=hashes,
        validation=hold_out(cleaned.samples, hashes, plan.validation_share),
        rule=plan.rule,
        size=plan.size,
        facts={"shards": names, "dropped": cleaned.dropped},
        on_progress=on_progress,
    )
    return open_cache(folder)


def read_clean_set(shards: Sequence[Path]) -> tuple[CleanSet, Hashes]:
    """Return what of the shards can be learnt from, and the difference hashes (n, 32) of it.

    Raises ShardUnreadable where a shard cannot be read.
    """
    return drop_undecodable(clean(read_shards(shards)), load_settings())
