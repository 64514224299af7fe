"""Open the crop caches of a retraining's rounds; missing ones are made from the shards."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from facetag.bundles.bundle_store import Shelf
from facetag.retraining.shard_store import fetch_shard
from facetag.vision.difference_hash import Hashes
from facetag_trainer.data.cache_preparation import PreparePlan
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.shard_index import ShardIndex
from facetag_trainer.data.shards import Sample
from facetag_trainer.progress import ProgressReporter
from facetag_trainer.retraining.training_round import (
    Examined,
    Round,
    cut_round,
    find_round_cache,
    order_parts,
    read_round,
)


class RoundCaches:
    """The crop caches below one folder, with the crop rule and size of one bundle."""

    def __init__(
        self, shelf: Shelf, root: Path, plan: PreparePlan, reporter: ProgressReporter
    ) -> None:
        self._shelf = shelf
        self._root = root
        self._plan = plan
        self._reporter = reporter

    def cut(self, examined: Examined) -> CropCache:
        """Return the cache of a round that was just examined."""
        one = examined.round
        found = find_round_cache(one, self._root, self._plan)
        return _with_domain(found or self._cut(one, examined.samples, examined.hashes), one.domain)

    def open(self, one: Round, at_hand: Sequence[ShardIndex]) -> CropCache:
        """Return the cache of a recorded round, made from given shards or those in object storage.

        Raises ShardUnreadable if a shard is in neither place.
        """
        found = find_round_cache(one, self._root, self._plan)
        if found is not None:
            return _with_domain(found, one.domain)
        here = {shard.sha256: shard for shard in at_hand}
        shards = [here.get(digest) or self._fetch(digest) for digest in one.shards]
        samples, hashes = read_round(one, shards)
        return _with_domain(self._cut(order_parts(one, samples), samples, hashes), one.domain)

    def _fetch(self, digest: str) -> ShardIndex:
        shelf = self._shelf
        path = fetch_shard(shelf.storage, shelf.tenant_id, digest, self._root / "shards")
        return ShardIndex(path, self._plan.settings)

    def _cut(self, one: Round, samples: Sequence[Sample], hashes: Hashes) -> CropCache:
        names = ", ".join(one.shards.values())
        with self._reporter.bar(f"Cutting faces out of {names}", total=len(samples)) as bar:
            return cut_round(one, samples, hashes, self._root, self._plan, on_progress=bar.set)


def _with_domain(cache: CropCache, domain: str) -> CropCache:
    return replace(cache, facts={**cache.facts, "domain": domain})
