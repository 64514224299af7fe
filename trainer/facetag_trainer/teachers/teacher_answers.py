"""`facetag teach`: what teachers say of the images of shards, once, for any number of fits."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facetag.errors import FacetagError
from facetag.heads import AGE, GENDER, RACE
from facetag.settings import Settings
from facetag.vision.image_decoder import decode_image
from facetag_trainer.data.cache_preparation import PreparePlan, read_clean_set
from facetag_trainer.data.labels import label_arrays
from facetag_trainer.data.shard_index import index_shards
from facetag_trainer.data.shards import Sample
from facetag_trainer.data.splits import hold_out
from facetag_trainer.evaluation.calibration_error import chosen_labels
from facetag_trainer.teachers.classifiers import answer_out_of_fold
from facetag_trainer.teachers.descriptors import SHA256, UNITS, Describe

PARTIAL_EVERY = 500
"""Images between two writings of what is done: a killed run goes on from there."""
HEADS = (AGE.name, GENDER.name, RACE.name)


@dataclass(frozen=True, slots=True)
class Taught:
    """The file that was written, and how many of the answers out of fold are right."""

    path: Path
    accuracy: dict[str, float]


def teach(
    shards: Sequence[Path],
    folder: Path,
    settings: Settings,
    describe: Describe,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Taught:
    """Write the descriptors of all usable images, and answers of classifiers on them.

    The file is named after the shards and the teacher, so that the same are asked once; a killed
    run goes on where it stopped. Raises ShardUnreadable where a shard cannot be read, and
    FacetagError where no usable image remains, or too few of them have labels of gender or race.
    """
    indexes = index_shards(shards, settings)
    facts = json.dumps([[shard.sha256 for shard in indexes], SHA256])
    path = folder / f"taught-{hashlib.sha256(facts.encode()).hexdigest()[:16]}.npz"
    cleaned, hashes = read_clean_set(indexes)
    samples = cleaned.samples
    if not samples:
        raise FacetagError("The shards hold no usable image: see `facetag explore --help`.")
    labels = label_arrays(samples, HEADS)
    held_out = hold_out(samples, hashes, PreparePlan(settings).validation_share)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npz")
        descriptors = _describe_all(samples, partial, settings, describe, on_progress)
        answers = answer_out_of_fold(descriptors, labels, hashes, held_out)
        if not answers.keys() & {GENDER.name, RACE.name}:
            raise FacetagError(
                "Teaching needs images of two genders or of two races, and more of them: give "
                "other shards."
            )
        whole = path.with_suffix(".whole.npz")
        np.savez(whole, hashes=hashes, descriptors=descriptors, **answers)  # type: ignore[arg-type]
        whole.replace(path)
        partial.unlink(missing_ok=True)
    with np.load(path) as kept:
        right = {
            name: chosen_labels(name, kept[name]) == labels[name]
            for name in (GENDER.name, RACE.name)
            if name in kept
        }
    known = {name: ~held_out & ~np.isnan(labels[name]) for name in right}
    return Taught(
        path,
        {name: float(right[name][mask].mean()) for name, mask in known.items() if mask.any()},
    )


def _describe_all(
    samples: Sequence[Sample],
    partial: Path,
    settings: Settings,
    describe: Describe,
    on_progress: Callable[[int, int], None],
) -> np.ndarray:
    done: dict[str, np.ndarray] = {}
    if partial.exists():
        with np.load(partial) as kept:
            done = dict(zip(kept["names"].tolist(), kept["values"], strict=True))
    for count, sample in enumerate(samples, 1):
        if sample.sha256 not in done:
            photo = decode_image(
                sample.data, formats=settings.image_formats, max_pixels=settings.max_image_pixels
            )
            done[sample.sha256] = describe(photo)
            if len(done) % PARTIAL_EVERY == 0:
                _write_partial(partial, done)
        on_progress(count, len(samples))
    return np.stack([done[sample.sha256] for sample in samples]).reshape(-1, UNITS)


def _write_partial(path: Path, done: dict[str, np.ndarray]) -> None:
    temporary = path.with_suffix(".new.npz")
    np.savez(temporary, names=np.array(list(done)), values=np.stack(list(done.values())))
    temporary.replace(path)
