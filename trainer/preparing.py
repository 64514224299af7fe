"""From shards to a crop cache: read, clean, split, detect and cut, once for the same shards."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facetag.errors import ShardUnreadable
from trainer.cleaning import clean
from trainer.crop_cache import CropCache, cache_key, open_cache, write_cache
from trainer.shards import Sample, read_shards, shard_digest
from trainer.splits import difference_hash, hold_out
from vision.crop import CropRule


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
    digests = {path.name: shard_digest(path) if path.exists() else "" for path in shards}
    key = cache_key(list(digests.values()), plan.rule, plan.size, plan.validation_share)
    folder = root / key
    if (folder / "cache.json").exists():
        return open_cache(folder)
    cleaned = clean(read_shards(shards))
    samples, dropped = _drop_undecodable(cleaned.samples, cleaned.dropped)
    if not samples:
        raise ShardUnreadable("Nothing usable remains of the shards: see `facetag train --help`.")
    on_start(len(samples))
    hashes = np.stack([difference_hash(sample.data) for sample in samples])
    write_cache(
        folder,
        samples,
        hashes=hashes,
        validation=hold_out(samples, hashes, plan.validation_share),
        rule=plan.rule,
        size=plan.size,
        facts={"shards": digests, "dropped": dict(dropped)},
        on_progress=on_progress,
    )
    return open_cache(folder)


def _drop_undecodable(
    samples: Sequence[Sample], dropped: Counter[str]
) -> tuple[list[Sample], Counter[str]]:
    kept = []
    for sample in samples:
        try:
            difference_hash(sample.data)
        except (OSError, SyntaxError, ValueError):
            dropped["undecodable image"] += 1
        else:
            kept.append(sample)
    return kept, dropped
