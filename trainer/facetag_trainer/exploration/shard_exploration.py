"""Count the images of training shards: dropped ones, missing labels, ages, and groups."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facetag.heads import HEADS, MAX_AGE
from facetag.settings import Settings
from facetag.vision.difference_hash import Hashes
from facetag_trainer.data.clean_set import CleanSet, clean, drop_undecodable
from facetag_trainer.data.labels import LabelValues, group_codes, group_names, label_arrays
from facetag_trainer.data.shard_index import hash_sample
from facetag_trainer.data.shards import BadSample, Sample, read_shards
from facetag_trainer.data.splits import group_look_alikes

BY = ("gender", "race", "age")
CROSSINGS = tuple(by for size in (1, 2, 3) for by in combinations(BY, size))
Counts = npt.NDArray[np.int64]
Watch = Callable[[str, int, int | None], None]
"""Gets the phase, the images so far, and their total or None if it is not known."""


@dataclass(frozen=True, slots=True)
class AgeStatistics:
    """Apparent ages in years; `sd` is the sample standard deviation (n - 1), None for one age."""

    n: int
    mean: float
    sd: float | None
    minimum: float
    quartiles: tuple[float, float, float]
    """Interpolated between ages; the second is the median."""
    maximum: float


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """Groups of two or more images whose difference hashes are close (see `data.splits`)."""

    groups: int
    images: int
    largest: int


@dataclass(frozen=True, slots=True)
class Exploration:
    """The counts of a data set; all but `read` and `left_out` are about the images that remain."""

    read: int
    kept: int
    left_out: list[BadSample] = field(repr=False)
    missing: dict[str, int]
    """Images without a label, per head; the other heads still learn from them."""
    ages: AgeStatistics | None
    years: Counts = field(repr=False)
    """Images by apparent age in whole years, (117,)."""
    crossings: dict[tuple[str, ...], Counts] = field(repr=False)
    """Images by combination of heads, one axis per head in the order of `group_names`."""
    look_alikes: LookAlikes

    @property
    def dropped(self) -> dict[str, int]:
        """The number of dropped images per kind."""
        return CleanSet(left_out=self.left_out).dropped


def explore_shards(
    shards: Sequence[Path], settings: Settings, *, on_progress: Watch = lambda *_: None
) -> Exploration:
    """Read, clean and count the images of shards; drops what `train` would drop, by the same code.

    Raises ShardUnreadable if a shard cannot be read. A data set without a usable image is no error.
    """
    read = 0

    def count_items() -> Iterator[Sample | BadSample]:
        nonlocal read
        for item in read_shards(shards):
            read += 1
            on_progress("Reading", read, None)
            yield item

    cleaned = clean(count_items())
    total = len(cleaned.samples)
    kept, hashes = drop_undecodable(
        cleaned,
        lambda sample: hash_sample(sample, settings),
        on_progress=lambda done: on_progress("Decoding", done, total),
    )
    labels = label_arrays(kept.samples, [head.name for head in HEADS])
    return Exploration(
        read=read,
        kept=len(kept.samples),
        left_out=kept.left_out,
        missing={name: int(np.isnan(values).sum()) for name, values in labels.items()},
        ages=describe_ages(labels["age"]),
        years=count_years(labels["age"]),
        crossings={by: count_groups(labels, by) for by in CROSSINGS},
        look_alikes=count_look_alikes(
            hashes, on_progress=lambda done: on_progress("Comparing", done, len(hashes))
        ),
    )


def describe_ages(ages: LabelValues) -> AgeStatistics | None:
    """Describe ages (n,) in years, ignoring NaN; None if no age is known."""
    known = ages[~np.isnan(ages)].astype(np.float64)
    if not len(known):
        return None
    first, median, third = (float(value) for value in np.percentile(known, [25, 50, 75]))
    return AgeStatistics(
        n=len(known),
        mean=float(known.mean()),
        sd=float(known.std(ddof=1)) if len(known) > 1 else None,
        minimum=float(known.min()),
        quartiles=(first, median, third),
        maximum=float(known.max()),
    )


def count_years(ages: LabelValues) -> Counts:
    """Count ages (n,) by whole years, ignoring NaN; returns (117,)."""
    known = ages[~np.isnan(ages)].astype(np.int64)
    return np.bincount(known, minlength=MAX_AGE + 1).astype(np.int64)


def count_groups(labels: Mapping[str, LabelValues], by: Sequence[str]) -> Counts:
    """Count images by combination of heads, one axis each; skips images that lack a label."""
    codes = np.stack([group_codes(name, labels[name]) for name in by])
    counts = np.zeros([len(group_names(name)) for name in by], np.int64)
    np.add.at(counts, tuple(codes[:, (codes >= 0).all(axis=0)]), 1)
    return counts


def count_look_alikes(
    hashes: Hashes, *, on_progress: Callable[[int], None] = lambda done: None
) -> LookAlikes:
    """Count the groups of look-alikes among images (n, 32)."""
    sizes = Counter(group_look_alikes(hashes, on_progress=on_progress)).values()
    several = [size for size in sizes if size > 1]
    return LookAlikes(len(several), sum(several), max(several, default=0))
