"""Measure a candidate and its champion by domain, on images that fitted and chose nothing."""

from collections.abc import Sequence
from typing import Any

from facetag.heads import AGE
from facetag.retraining.domains import name_domain
from facetag.vision.bundle import Bundle
from facetag.vision.network.mirror_averaging import Outputs
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.splits import HOLDOUT, split_held_out
from facetag_trainer.evaluation.table_1_metrics import measure_heads
from facetag_trainer.retraining.outputs.output_cache import OutputCache, join_outputs

BEFORE, AFTER = "before", "after"


def find_domain(cache: CropCache) -> str:
    """Return the domain of a round's cache: the stated one, or that of its first shard's name."""
    stated: str | None = cache.facts.get("domain")
    return stated or name_domain(next(iter(cache.facts["shards"])))


def measure_domains(
    bundles: Sequence[Bundle], caches: Sequence[CropCache], output_cache: OutputCache
) -> dict[str, dict[str, Any]]:
    """Return per domain the figures of the champion and of the candidate on its holdout.

    `bundles` are these two, in this order. Figures are calibrated, and ages come with the coverage
    of the stated range. A domain without a holdout is left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for domain in dict.fromkeys(find_domain(cache) for cache in caches):
        mine = [cache for cache in caches if find_domain(cache) == domain]
        labels = join_outputs([_holdout_labels(cache) for cache in mine])
        count = len(labels[AGE.name])
        if count:
            found[domain] = {"n": count} | {
                moment: _measure(bundle, mine, labels, output_cache)
                for moment, bundle in zip((BEFORE, AFTER), bundles, strict=True)
            }
    return found


def _measure(
    bundle: Bundle, caches: Sequence[CropCache], labels: Outputs, output_cache: OutputCache
) -> dict[str, Any]:
    outputs = join_outputs(
        [
            _keep_holdout(cache, output_cache.read(bundle, cache, cache.validation))
            for cache in caches
        ]
    )
    age_range = bundle.age_range if AGE.name in bundle.spec.heads else None
    mine = {name: labels[name] for name in bundle.spec.heads}
    return measure_heads(mine, bundle.calibration.apply(outputs), age_range)


def _holdout_labels(cache: CropCache) -> Outputs:
    held_out = {name: values[cache.validation] for name, values in cache.labels.items()}
    return _keep_holdout(cache, held_out)


def _keep_holdout(cache: CropCache, held_out: Outputs) -> Outputs:
    if not cache.validation.any():
        return held_out
    members = split_held_out(cache.hashes[cache.validation]) == HOLDOUT
    return {name: values[members] for name, values in held_out.items()}
