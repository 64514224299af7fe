"""Drop samples that cannot be learnt from: bad names or labels, copies, undecodable images."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from facetag.errors import ImageUnreadable
from facetag.vision.difference_hash import HASH_BYTES, Hashes
from facetag_trainer.data.shards import BadSample, Drop, Sample


@dataclass(slots=True)
class CleanSet:
    """The samples that remain, in the order of the shards, and those that were left out."""

    samples: list[Sample] = field(default_factory=list)
    left_out: list[BadSample] = field(default_factory=list)

    @property
    def dropped(self) -> dict[str, int]:
        """Number of samples left out per kind, for kinds that occur."""
        drops = [bad.drop for bad in self.left_out]
        return {drop.value: drops.count(drop) for drop in Drop if drop in drops}


def clean(items: Iterable[Sample | BadSample]) -> CleanSet:
    """Keep one of identical images with equal labels; drop all of those with unequal labels."""
    result = CleanSet()
    by_content: dict[str, list[Sample]] = {}
    for item in items:
        if isinstance(item, BadSample):
            result.left_out.append(item)
        else:
            by_content.setdefault(item.sha256, []).append(item)
    for copies in by_content.values():
        first = copies[0]
        others = [copy for copy in copies if copy.labels != first.labels]
        if others:
            result.left_out += [
                _left_out(
                    copy, Drop.DISAGREEING, others[0] if copy.labels == first.labels else first
                )
                for copy in copies
            ]
        else:
            result.samples.append(first)
            result.left_out += [_left_out(copy, Drop.COPY, first) for copy in copies[1:]]
    return result


def drop_undecodable(
    cleaned: CleanSet,
    hash_image: Callable[[Sample], Hashes],
    *,
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[CleanSet, Hashes]:
    """Return the set without the images that the service could not decode, and the others' hashes.

    `hash_image` returns the difference hash (32,) of an image, or raises ImageUnreadable.
    `on_progress` gets the number of images that were tried so far.
    """
    kept, hashes = CleanSet(left_out=[*cleaned.left_out]), []
    for done, sample in enumerate(cleaned.samples, 1):
        try:
            one = hash_image(sample)
        except ImageUnreadable as error:
            kept.left_out.append(BadSample(sample.name, Drop.UNDECODABLE, str(error)))
        else:
            kept.samples.append(sample)
            hashes.append(one)
        on_progress(done)
    return kept, np.array(hashes, np.uint8).reshape(-1, HASH_BYTES)


def _left_out(copy: Sample, drop: Drop, twin: Sample) -> BadSample:
    return BadSample(copy.name, drop, f"the same image as {twin.name}")
