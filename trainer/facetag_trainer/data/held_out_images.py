"""Record in a bundle's manifest which images of its shards are held out, and in which part.

The parts follow from all shards together: look-alikes may lie in several. With the record, some of
the shards are enough to tell what the bundle was not fitted on.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.heads import HELD_OUT_IMAGES
from facetag.vision.difference_hash import Hashes
from facetag_trainer.data.splits import PART_SHARES, split_held_out

DIGITS = 16
"""Hexadecimal digits of the SHA-256 of a difference hash: 64 bits tell millions of images apart."""


def record_held_out(hashes: Hashes, held_out: npt.NDArray[np.bool_]) -> dict[str, str]:
    """Return the field for images with hashes (n, 32) of which some (n,) are held out.

    It joins the digests of each part, sorted.
    """
    shown = hashes[held_out]
    digests, parts = np.array(image_digests(shown), f"<U{DIGITS}"), split_held_out(shown)
    return {name: "".join(np.unique(digests[parts == name]).tolist()) for name in PART_SHARES}


def join_records(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """Return the field for the images of two rounds."""
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
    return [hashlib.sha256(one.tobytes()).hexdigest()[:DIGITS] for one in hashes]
