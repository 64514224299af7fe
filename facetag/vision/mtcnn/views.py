"""Choose the views of a photo that are searched for faces: bands of face sizes, and parts.

The first band is searched the same way whatever the smallest face asked for is, and finer bands
only add faces to it. So a smaller bound finds every face that a larger one finds.

A long photo, such as a screenshot of a whole page, is searched as a whole, and then in parts that
overlap by the photo's short side.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from facetag.vision.mtcnn.pyramid import SMALLEST_FACE_PX
from facetag.vision.photo import (
    FIRST_SHARE,
    LARGEST_WORKING_SIDE,
    WORKING_FACE_PX,
    WORKING_SIDE,
    Pixels,
    is_long,
    reduce_to,
    reduce_whole,
    searched_side,
)

BAND = 2**0.5
"""The sizes of a finer band's faces, largest to smallest: about a pyramid level's."""
PART_LENGTH, PART_STEP = 3, 2
"""Length of a part, and from the start of one to that of the next, in short sides of the photo."""


@dataclass(frozen=True, slots=True)
class Band:
    """Faces of a range of sizes that are searched for together."""

    share: float
    """Height of the smallest, in long sides of the photo (`searched_side`)."""
    side: int
    """Long side in pixels of the copies of photos that they are searched for in."""
    levels: int | None
    """Number of pyramid levels; None for all levels up to the largest face."""

    @property
    def is_first(self) -> bool:
        """Whether this band reaches up to the largest faces."""
        return self.levels is None


@dataclass(frozen=True, slots=True)
class View:
    """A copy of a photo, or a part of one, in which a band of faces is searched for."""

    pixels: Pixels
    smallest: float
    """Height of the smallest face in pixels of the view."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Pixels of the photo per pixel of the view, across and down."""
    corner: tuple[int, int] = (0, 0)
    """Column and row, in pixels of the copy, at which a part begins."""
    core: tuple[float, float, float, float] | None = None
    """The x1, y1, x2, y2 in which a part's faces have their centres, in pixels of the copy;
    elsewhere another part shows more of them. None for a whole photo."""


def bands_down_to(min_face: float) -> list[Band]:
    """Return the bands of sizes that hold faces of `min_face` of the long side and more."""
    bands = [Band(FIRST_SHARE, WORKING_SIDE, None)]
    while bands[-1].share > min_face and bands[-1].share * LARGEST_WORKING_SIDE > SMALLEST_FACE_PX:
        share = round(FIRST_SHARE / BAND ** len(bands), 6)
        bands.append(Band(share, min(LARGEST_WORKING_SIDE, round(WORKING_FACE_PX / share)), 1))
    return bands


def views_of(photo: Pixels, band: Band) -> Iterator[View]:
    """Yield the views of a photo in which a band is searched for, the whole photo's first."""
    whole = reduce_whole(photo, band.side)
    if _has_faces(max(whole.shape[:2]), band):
        smallest = max(SMALLEST_FACE_PX, band.share * max(whole.shape[:2]))
        yield View(whole, smallest, _scale(photo, whole))
    if is_long(photo.shape[:2]):
        copy = reduce_to(photo, band.side)
        side = searched_side(copy.shape[:2])
        if min(copy.shape[:2]) >= SMALLEST_FACE_PX and _has_faces(side, band):
            yield from _parts(photo, copy, max(SMALLEST_FACE_PX, band.share * side))


def _has_faces(side: int, band: Band) -> bool:
    """Return whether coarser bands leave faces to find in copies of this long side."""
    return band.is_first or BAND * band.share * side > SMALLEST_FACE_PX


def _parts(photo: Pixels, copy: Pixels, smallest: float) -> Iterator[View]:
    height, width = copy.shape[:2]
    short, long_ = min(height, width), max(height, width)
    length = min(PART_LENGTH * short, long_)
    starts = [*range(0, long_ - length, PART_STEP * short), long_ - length]
    seams = [(after + before + length) / 2 for before, after in pairwise(starts)]
    for start, low, high in zip(starts, [-np.inf, *seams], [*seams, np.inf], strict=True):
        part = slice(start, start + length)
        if height > width:
            pixels, corner, core = copy[part], (0, start), (-np.inf, low, np.inf, high)
        else:
            pixels, corner, core = copy[:, part], (start, 0), (low, -np.inf, high, np.inf)
        yield View(np.ascontiguousarray(pixels), smallest, _scale(photo, copy), corner, core)


def _scale(photo: Pixels, copy: Pixels) -> tuple[float, float]:
    return photo.shape[1] / copy.shape[1], photo.shape[0] / copy.shape[0]
