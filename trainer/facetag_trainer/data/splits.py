"""Decide by content which samples are held out, with look-alikes on the same side.

Two images look alike if their 256-bit difference hashes differ in at most 16 bits. Look-alikes form
groups (transitively). The least SHA-256 among a group's members decides its side, so the split does
not depend on order, names or machine. The least of many numbers is small, so a group's number is
corrected for its size: otherwise most large groups, such as frames of one video, would be held out.

The held-out images have three parts: validation chooses the network, calibration fits how sure it
is, and holdout measures the outcome and has no part in any choice. Calibration gets half of them.
Its age range promises a coverage of 80%, and 950 images estimate a coverage within 1.3 points (one
standard deviation), where a quarter would do so within 1.8. Validation compares networks on the
same images, so a quarter is enough.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facetag.heads import HELD_OUT_IMAGES
from facetag.vision.difference_hash import Hashes
from facetag_trainer.data.shards import Sample

LOOK_ALIKE_BITS = 16
VALIDATION, CALIBRATION, HOLDOUT = "validation", "calibration", "holdout"
PART_SHARES = {VALIDATION: 1 / 4, CALIBRATION: 1 / 2, HOLDOUT: 1 / 4}
DIGITS = 16
"""Hexadecimal digits of the SHA-256 of a difference hash: 64 bits tell millions of images apart."""


def look_alikes(hashes: Hashes, others: Hashes) -> npt.NDArray[np.bool_]:
    """Return as (n,) which of `hashes` (n, 32) have a look-alike among `others` (m, 32)."""
    near = (np.any(_distances(one, others) <= LOOK_ALIKE_BITS) for one in hashes)
    return np.fromiter(near, bool, len(hashes))


def group_look_alikes(
    hashes: Hashes, *, on_progress: Callable[[int], None] = lambda done: None
) -> list[int]:
    """Return the index of each image's group's first member, for hashes (n, 32)."""
    rows: list[npt.NDArray[np.intp]] = []
    columns: list[npt.NDArray[np.intp]] = []
    for index in range(1, len(hashes)):
        near = np.flatnonzero(_distances(hashes[index], hashes[:index]) <= LOOK_ALIKE_BITS)
        rows.append(np.full(len(near), index))
        columns.append(near)
        on_progress(index + 1)
    if not rows:
        return list(range(len(hashes)))
    pairs = np.concatenate(rows), np.concatenate(columns)
    alike = coo_array((np.ones(len(pairs[0]), bool), pairs), shape=(len(hashes), len(hashes)))
    _, groups = connected_components(alike, directed=False)
    _, first = np.unique(groups, return_index=True)
    members: list[int] = first[groups].tolist()
    return members


def hold_out(samples: Sequence[Sample], hashes: Hashes, share: float) -> npt.NDArray[np.bool_]:
    """Return which samples (n,) are held out for validation: about `share` of them."""
    return _group_places(hashes, [sample.sha256 for sample in samples]) < share


@dataclass(frozen=True, slots=True)
class Fold:
    """One of `of` equal parts of the training images; `number` counts from 1.

    Raises ValueError if there is no such part.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if self.of < 2 or not 1 <= self.number <= self.of:
            raise ValueError(f"{self} is not a fold: write the first of five as 1/5.")

    @classmethod
    def parse(cls, text: str) -> "Fold":
        """Return the fold that a text such as 1/5 names; raises ValueError for any other text."""
        number, _, of = text.partition("/")
        return cls(int(number), int(of))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def split_folds(hashes: Hashes, of: int) -> npt.NDArray[np.intp]:
    """Return the fold of each image as (n,), from 1 to `of`, for hashes (n, 32)."""
    return (_group_places(hashes, _digests(hashes)) * of).astype(np.intp) + 1


def split_held_out(hashes: Hashes) -> npt.NDArray[np.str_]:
    """Return the part of each held-out image as (n,), a key of PART_SHARES, for hashes (n, 32).

    The least SHA-256 of the difference hashes of an image's look-alikes decides its part. That is
    independent of what decides that an image is held out, and crop caches hold these hashes.
    """
    edges = np.cumsum(list(PART_SHARES.values()))
    places = _group_places(hashes, _digests(hashes))
    parts = np.searchsorted(edges[:-1], places, side="right")
    return np.array(list(PART_SHARES))[parts]


def record_held_out(hashes: Hashes, held_out: npt.NDArray[np.bool_]) -> dict[str, str]:
    """Return a manifest's `held_out_images` for images with hashes (n, 32), some (n,) held out.

    It joins the digests of each part, sorted. The parts follow from all shards together, since
    look-alikes may lie in several: with the field, some of the shards are enough to tell them.
    """
    shown = hashes[held_out]
    digests, parts = np.array(image_digests(shown), f"<U{DIGITS}"), split_held_out(shown)
    return {name: "".join(np.unique(digests[parts == name]).tolist()) for name in PART_SHARES}


def join_records(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """Return `held_out_images` for the images of two rounds."""
    return {name: one.get(name, "") + other.get(name, "") for name in PART_SHARES}


def read_held_out(manifest: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the part of each held-out image by its digest; None if the bundle does not say."""
    field = manifest.get(HELD_OUT_IMAGES)
    if field is None:
        return None
    return {
        text[start : start + DIGITS]: part
        for part, text in field.items()
        for start in range(0, len(text), DIGITS)
    }


def image_digests(hashes: Hashes) -> list[str]:
    """Return what the field calls each image, for hashes (n, 32)."""
    return [digest[:DIGITS] for digest in _digests(hashes)]


def _digests(hashes: Hashes) -> list[str]:
    return [hashlib.sha256(one.tobytes()).hexdigest() for one in hashes]


def _group_places(hashes: Hashes, digests: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return a number in 0..1 for each image, from the least digest of its look-alikes.

    It is uniform for groups of every size. A single image's number is its own digest's, and that of
    a group is never smaller than its least member's.
    """
    groups = group_look_alikes(hashes)
    members: dict[int, set[str]] = {}
    for digest, group in zip(digests, groups, strict=True):
        members.setdefault(group, set()).add(digest)
    places = {}
    for group, found in members.items():
        least = int(min(found)[:8], 16) / 2**32
        # The share of groups of this size whose least number is smaller.
        places[group] = 1 - (1 - least) ** len(found)
    return np.array([places[group] for group in groups])


def _distances(one: Hashes, others: Hashes) -> npt.NDArray[np.int64]:
    # Eight bytes at a time: every image is compared with every other.
    words = (others ^ one).view(np.uint64)
    result: npt.NDArray[np.int64] = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    return result
