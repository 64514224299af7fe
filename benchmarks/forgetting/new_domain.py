"""Make domains that the champion reads badly: faces of some groups, in poor photos.

The champion was fitted on most of the photos as they were, so its errors here are smaller than on
photos of strangers.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.forgetting.domain_kinds import Kind, spoil
from benchmarks.harness.corrupted_shard import (
    Labels,
    flip_genders,
    name_by_labels,
    shuffle_labels,
)
from benchmarks.harness.shard_writer import write_shard
from facetag.heads import AGE
from facetag.retraining.ledger import TRAINING
from facetag.settings import Settings
from facetag.vision.bundle import Bundle
from facetag_trainer.data.cache_preparation import PreparePlan
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.shard_index import ShardIndex, index_shards
from facetag_trainer.data.shards import Sample
from facetag_trainer.data.splits import read_held_out
from facetag_trainer.retraining.candidate import find_judges
from facetag_trainer.retraining.material.replay import join_caches, keep_some
from facetag_trainer.retraining.training_round import (
    JUDGING,
    Examined,
    cut_round,
    examine_shards,
    examine_tests,
    find_round_cache,
    to_hashes,
)

SHIFT_YEARS = 15.0
FLIPPED = "asian"
"""The apparent race whose genders are swapped."""
WRONG = ("right", "flipped", "shuffled", "shifted")
"""Labels of the new shard: as they are, genders swapped, of another image, or with later ages."""


@dataclass(frozen=True, slots=True)
class Collection:
    """All images of the shards as they are, with their crop cache."""

    samples: Sequence[Sample]
    cache: CropCache
    held_out: npt.NDArray[np.bool_]
    """Which of them (n,) the champion held out."""
    plan: PreparePlan
    root: Path
    """Folder of crop caches."""


@dataclass(frozen=True, slots=True)
class Domain:
    """The crop caches of a domain: a new shard, and spoiled images that judge."""

    name: str
    new: CropCache
    rest: CropCache
    """Spoiled images that judge: of others than those of `new`, and of those that judge there.
    They have the right labels."""
    rest_clean: CropCache
    """The photos of `rest` as they were, each once."""
    photo: npt.NDArray[np.intp]
    """The photo in `rest_clean` of each image (n,) of `rest`: some are spoiled several times."""
    unseen: npt.NDArray[np.bool_]
    """Images (n,) of `rest` whose photo the champion was not fitted on."""
    hidden: npt.NDArray[np.bool_]
    """Images (n,) of the collection that judge when they are corrupted."""


def read_collection(
    shards: Sequence[Path], champion: Bundle, settings: Settings, root: Path
) -> Collection:
    """Read the shards; the crop cache is that of `facetag train`, if it lies in `root`."""
    plan, whole, held_out = examine_collection(shards, champion, settings)
    return Collection(whole.samples, cut_images(whole, root, plan), held_out, plan, root)


def examine_collection(
    shards: Sequence[Path], champion: Bundle, settings: Settings
) -> tuple[PreparePlan, Examined, npt.NDArray[np.bool_]]:
    """Return the plan of crop caches, the images, and which (n,) the champion held out."""
    plan = PreparePlan(settings, size=champion.spec.input_size, rule=champion.crop_rule)
    whole = examine_shards(
        index_shards(shards, settings),
        plan,
        known=to_hashes([]),
        held_out=read_held_out(champion.manifest),
    )
    return plan, whole, np.array([part != TRAINING for part in whole.round.parts.values()])


def make_domain(
    collection: Collection,
    kind: Kind,
    *,
    count: int,
    labels: str = "right",
    most: int | None = None,
    draws: int = 1,
) -> Domain:
    """Return a domain with `count` images in its new shard.

    Those that judge there also judge, and at most `most` that the champion held out. Photos that
    judge are spoiled `draws` times, so that the luck of one draw counts less.
    """
    samples, plan, root = collection.samples, collection.plan, collection.root
    settings = plan.settings
    learnt, judging = choose_images(samples, collection.held_out, count, kind)
    folder = root / f"domain-{kind.name}-{count}-{labels}"
    taught = mislabel([spoil(samples[index], settings, kind) for index in learnt], labels)
    new = examine_shards(
        [write_images(folder / f"{kind.name}.tar", taught, settings)],
        plan,
        known=to_hashes([]),
        hold_out_at_least=JUDGING,
    )
    fresh = cut_images(new, root, plan)
    fresh = replace(fresh, facts={**fresh.facts, "domain": kind.name})
    judged = find_judges(fresh)
    originals = {one.sha256: index for one, index in zip(taught, learnt, strict=True)}
    shown = np.array([originals[one] for one in new.round.parts], np.intp)
    photos = [*judging[:most], *shown[judged]]
    # The first draw of the photos that judge in the new shard lies there.
    missing = [
        (place, draw)
        for draw in range(draws)
        for place in range(len(photos) if draw else len(judging[:most]))
    ]
    spoiled = [
        (place, spoil(samples[photos[place]], settings, kind, draw)) for place, draw in missing
    ]
    # A look without chance gives the image of the new shard again.
    judges = [(place, one) for place, one in spoiled if one.sha256 not in originals]
    rest, places = cut_spoiled(judges, folder, plan, root)
    poor = join_caches([(rest, np.arange(len(places))), (fresh, np.flatnonzero(judged))])
    photo = np.array([*places, *range(len(judging[:most]), len(photos))], np.intp)
    clean = join_caches([(collection.cache, np.array(photos, np.intp))])
    hidden = np.zeros(len(samples), bool)
    hidden[photos] = True
    hidden[shown[fresh.validation]] = True
    return Domain(
        kind.name,
        fresh,
        replace(poor, labels={head: values[photo] for head, values in clean.labels.items()}),
        clean,
        photo,
        collection.held_out[photos][photo],
        hidden,
    )


def cut_spoiled(
    shown: Sequence[tuple[int, Sample]], folder: Path, plan: PreparePlan, root: Path
) -> tuple[CropCache, npt.NDArray[np.intp]]:
    """Return the crop cache of spoiled photos that come with a number each, and its numbers (n,).

    Images that are the same are there once.
    """
    written = write_images(folder / "rest.tar", [one for _, one in shown], plan.settings)
    examined = examine_tests([written])
    numbers = {one.name: number for number, one in shown}
    found = [numbers[one.name] for one in examined.samples]
    return cut_images(examined, root, plan), np.array(found, np.intp)


def keep_earlier(collection: Collection, domains: Sequence[Domain]) -> CropCache:
    """Return the collection without training images that judge when they are corrupted."""
    hidden = np.logical_or.reduce([domain.hidden for domain in domains])
    return keep_some(collection.cache, collection.held_out | ~hidden)


def choose_images(
    samples: Sequence[Sample], held_out: npt.NDArray[np.bool_], count: int, kind: Kind
) -> tuple[list[int], list[int]]:
    """Return the indices of a domain's images for the new shard, and of those that judge.

    What the champion held out judges; `count` others are for the new shard, chosen by content.
    """
    members = [index for index, sample in enumerate(samples) if kind.has(sample)]
    members.sort(key=lambda index: hashlib.sha256(samples[index].sha256.encode()).hexdigest())
    seen = [index for index in members if not held_out[index]]
    return seen[:count], [index for index in members if held_out[index]]


def mislabel(samples: Sequence[Sample], labels: str) -> list[Sample]:
    """Return the samples with labels that are right or wrong in one of the ways of WRONG."""
    before = [sample.labels for sample in samples]
    changed: list[Labels] = list(before)
    if labels == "flipped":
        changed = flip_genders(before, FLIPPED)
    elif labels == "shuffled":
        changed = shuffle_labels(before, 1)
    elif labels == "shifted":
        changed = [{**one, AGE.name: one[AGE.name] + SHIFT_YEARS} for one in before]
    return name_by_labels(samples, changed)


def write_images(path: Path, samples: Sequence[Sample], settings: Settings) -> ShardIndex:
    """Write samples as a shard, and return its index."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_shard(path, samples)
    return ShardIndex(path, settings)


def cut_images(examined: Examined, root: Path, plan: PreparePlan) -> CropCache:
    """Return the crop cache of examined images, in their order; it is made once."""
    found = find_round_cache(examined.round, root, plan)
    return found or cut_round(examined.round, examined.samples, examined.hashes, root, plan)
