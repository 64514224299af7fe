"""Gather more images that judge retrainings: test shards, which no network was fitted on.

A loss of two in a thousand is hard to see on a thousand images, so those of test shards judge
beside those that the champion held out: as they are, and spoiled as a domain's photos are.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.forgetting.domain_kinds import Kind, spoil
from benchmarks.forgetting.new_domain import Collection, Domain, cut_images, cut_spoiled
from facetag.vision.network.mirror_averaging import Outputs
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.shard_index import index_shards
from facetag_trainer.evaluation.bootstrap import central_interval, draw_beside_all
from facetag_trainer.evaluation.weighted_metrics import measure_main
from facetag_trainer.retraining.candidate import find_judges
from facetag_trainer.retraining.gate.paired_comparison import GATED
from facetag_trainer.retraining.material.replay import join_caches, keep_some
from facetag_trainer.retraining.training_round import examine_tests


def read_tests(shards: Sequence[Path], collection: Collection) -> Collection | None:
    """Read test shards as the collection was read; None without any."""
    if not shards:
        return None
    examined = examine_tests(index_shards(shards, collection.plan.settings))
    return replace(
        collection,
        samples=examined.samples,
        cache=cut_images(examined, collection.root, collection.plan),
        held_out=np.ones(len(examined.samples), bool),
    )


def gather_judges(earlier: CropCache, tests: Collection | None) -> CropCache:
    """Return the earlier images that judge, and those of the test shards as they are."""
    judges = keep_some(earlier, find_judges(earlier))
    return judges if tests is None else _join(judges, tests.cache)


def add_tests(domain: Domain, kind: Kind, tests: Collection | None, draws: int = 1) -> Domain:
    """Return a domain that is judged by the test shards' faces of its kind too.

    Each is spoiled `draws` times.
    """
    if tests is None:
        return domain
    members = [index for index, one in enumerate(tests.samples) if kind.has(one)]
    spoiled = [
        (place, spoil(tests.samples[index], tests.plan.settings, kind, draw))
        for draw in range(draws)
        for place, index in enumerate(members)
    ]
    folder = tests.root / f"domain-{kind.name}-tests"
    poor, places = cut_spoiled(spoiled, folder, tests.plan, tests.root)
    clean = join_caches([(tests.cache, np.array(members, np.intp))])
    before = len(domain.rest_clean.validation)
    return replace(
        domain,
        rest=_join(domain.rest, poor),
        rest_clean=_join(domain.rest_clean, clean),
        photo=np.concatenate([domain.photo, before + places]),
        unseen=np.concatenate([domain.unseen, np.ones(len(places), bool)]),
    )


def _join(*caches: CropCache) -> CropCache:
    return join_caches([(one, np.arange(len(one.validation))) for one in caches])


def compare_losses(
    labels: Outputs, mine: Outputs, other: Outputs, bounds: dict[str, float]
) -> dict[str, Any]:
    """Return per head how much worse `mine` is than `other`, and whether that is within its bound.

    The 95% confidence interval is from a bootstrap over the images; images without a label of the
    head are left out.
    """
    found: dict[str, Any] = {}
    for head, gated in GATED.items():
        known = ~np.isnan(labels[head])
        weights = draw_beside_all(int(known.sum()), head)
        one, two = (
            measure_main(head, labels[head][known], outputs[head][known], weights)
            for outputs in (mine, other)
        )
        lost = gated.lost(two, one)
        found[head] = {
            "lost": float(lost[0]),
            "interval": central_interval(lost[1:]),
            "bound": bounds[head],
            "within": bool(lost[0] <= bounds[head]),
        }
    return found


def list_losses(losses: dict[str, Any]) -> list[str]:
    """Return a line with a verdict for each head."""
    lines = []
    for head, gap in losses.items():
        low, high = gap["interval"] or (np.nan, np.nan)
        verdict = "HOLDS" if gap["within"] else "DOES NOT HOLD"
        lines.append(
            f"- {head}: {gap['lost']:+.4f} worse ({low:+.4f} to {high:+.4f}), bound "
            f"{gap['bound']:g}: {verdict}"
        )
    return lines
