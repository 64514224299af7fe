"""Make a domain that the champion reads badly: faces of two groups over 40, in poor photos.

The photos are UTKFace's, corrupted in a fixed way: few pixels, no colour of their own, and a cast.
The champion was fitted on most of them as they were, so its errors here are smaller than on photos
of strangers.
"""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.harness.corrupted_shard import (
    Labels,
    flip_genders,
    name_by_labels,
    shuffle_labels,
)
from benchmarks.harness.shard_writer import write_shard
from facetag.heads import AGE, RACE
from facetag.retraining.ledger import TRAINING
from facetag.settings import Settings
from facetag.vision.bundle import Bundle
from facetag.vision.image_decoder import decode_image
from facetag_trainer.data.cache_preparation import PreparePlan
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.shard_index import ShardIndex, index_shards
from facetag_trainer.data.shards import Sample
from facetag_trainer.evaluation.corruptions import corrupt
from facetag_trainer.retraining.replay import join_caches, keep_some
from facetag_trainer.retraining.training_round import (
    JUDGING,
    Examined,
    cut_round,
    examine_shards,
    examine_tests,
    find_round_cache,
    to_hashes,
)

RACES, OVER = ("asian", "indian"), 40
SPOILING = (("low resolution", 3), ("colours", 3), ("colours", 2), ("noise", 1))
"""Kinds and strengths of corruptions, in this order: 30 pixels, grey, a cast, and noise."""
QUALITY = 60
SHIFT_YEARS = 15.0
WRONG = ("right", "flipped", "shuffled", "shifted")
"""Labels of the new shard: as they are, genders swapped, of another image, or with later ages."""


@dataclass(frozen=True, slots=True)
class Domain:
    """The crop caches of a trial; `earlier` holds no training image that judges when corrupted."""

    earlier: CropCache
    new: CropCache
    rest: CropCache
    """Spoiled images that judge, none of which is in `new`."""
    rest_clean: CropCache
    """The same images as they were."""
    unseen: npt.NDArray[np.bool_]
    """Which of them (n,) the champion was not fitted on."""


def make_domain(
    shards: Sequence[Path],
    champion: Bundle,
    settings: Settings,
    root: Path,
    *,
    count: int,
    labels: str = "right",
) -> Domain:
    """Return the domain with `count` images in the new shard; caches lie below `root`."""
    plan = PreparePlan(settings, size=champion.spec.input_size, rule=champion.crop_rule)
    whole = examine_shards(index_shards(shards, settings), plan, known=to_hashes([]))
    held_out = np.array([part != TRAINING for part in whole.round.parts.values()])
    learnt, judging = choose_images(whole.samples, held_out, count)
    folder = root / f"domain-{count}-{labels}"
    taught = mislabel([spoil(whole.samples[index], settings) for index in learnt], labels)
    new = examine_shards(
        [_write(folder / "new.tar", taught, settings)],
        plan,
        known=to_hashes([]),
        hold_out_at_least=JUDGING,
    )
    judges = [spoil(whole.samples[index], settings) for index in judging]
    rest = examine_tests([_write(folder / "rest.tar", judges, settings)])
    places = {sample.name: index for index, sample in zip(judging, judges, strict=True)}
    order = [places[sample.name] for sample in rest.samples]
    # What judges when it is corrupted must not be learnt as it was.
    originals = {one.sha256: index for one, index in zip(taught, learnt, strict=True)}
    hidden = np.zeros(len(held_out), bool)
    hidden[order] = True
    hidden[[originals[one] for one, part in new.round.parts.items() if part != TRAINING]] = True
    # The cache of all images is that of `facetag train`, if it lies there already.
    clean = _cut(whole, root, plan)
    return Domain(
        keep_some(clean, held_out | ~hidden),
        _cut(new, root, plan),
        _cut(rest, root, plan),
        join_caches([(clean, np.array(order, np.intp))]),
        held_out[order],
    )


def choose_images(
    samples: Sequence[Sample], validation: npt.NDArray[np.bool_], count: int
) -> tuple[list[int], list[int]]:
    """Return the indices of images of the domain for the new shard, and of the rest, by content.

    What the champion held out is among the rest.
    """
    members = [
        index
        for index, sample in enumerate(samples)
        if sample.labels.get(RACE.name) in [RACE.code_of(race) for race in RACES]
        and sample.labels.get(AGE.name, 0) > OVER
    ]
    members.sort(key=lambda index: hashlib.sha256(samples[index].sha256.encode()).hexdigest())
    seen = [index for index in members if not validation[index]]
    chosen = set(seen[:count])
    return seen[:count], [index for index in members if index not in chosen]


def spoil(sample: Sample, settings: Settings) -> Sample:
    """Return a sample whose image is corrupted; its content decides the draws."""
    photo = decode_image(
        sample.data, formats=settings.image_formats, max_pixels=settings.max_image_pixels
    )
    place = int(sample.sha256[:8], 16)
    for kind, strength in SPOILING:
        photo = corrupt(photo, kind, strength, place)
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=QUALITY)
    return Sample(sample.name, buffer.getvalue(), sample.labels)


def mislabel(samples: Sequence[Sample], labels: str) -> list[Sample]:
    """Return the samples with labels that are right or wrong in one of the ways of WRONG."""
    before = [sample.labels for sample in samples]
    changed: list[Labels] = list(before)
    if labels == "flipped":
        changed = flip_genders(before, RACES[0])
    elif labels == "shuffled":
        changed = shuffle_labels(before, 1)
    elif labels == "shifted":
        changed = [{**one, AGE.name: one[AGE.name] + SHIFT_YEARS} for one in before]
    return name_by_labels(samples, changed)


def _write(path: Path, samples: Sequence[Sample], settings: Settings) -> ShardIndex:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_shard(path, samples)
    return ShardIndex(path, settings)


def _cut(examined: Examined, root: Path, plan: PreparePlan) -> CropCache:
    found = find_round_cache(examined.round, root, plan)
    return found or cut_round(examined.round, examined.samples, examined.hashes, root, plan)
