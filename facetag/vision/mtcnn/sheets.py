"""Levels of pyramids side by side: the proposal network sees them in two calls, not in nine.

A photo's largest level is a sheet of its own, and all smaller ones, which come to as many pixels,
are another. A cell that lies across two levels is nobody's.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facetag.vision.mtcnn.pyramid import STRIDE, Level, Sizes, cells_of, round_up

SHEET_STEP = 8
"""Sides of sheets are multiples of this, which bounds how many shapes there are."""
KEPT = 512
"""Arrangements kept for levels that come again."""

Size = tuple[int, int]
Places = npt.NDArray[np.intp]


class Sheet:
    """Some levels of a batch of photos, each in the same place of every photo's sheet."""

    def __init__(self, levels: Sequence[Level], photos: int) -> None:
        self.levels = levels
        self.corners, (height, width) = arrange(tuple(level.room for level in levels))
        self.shape = round_up(height, SHEET_STEP), round_up(width, SHEET_STEP)
        self._first: Sizes = np.array(self.corners, np.int32) // STRIDE
        self._cells: Sizes = np.zeros((photos, len(levels), 2), np.int32)
        self._scales = np.ones((photos, len(levels)))
        for place, level in enumerate(levels):
            self._cells[level.photos, place] = cells_of(level.sizes)
            self._scales[level.photos, place] = level.scales

    def locate(self, photos: Places, cells: Places) -> "Located":
        """Return on which levels cells (n, 2) of the photos' sheets (n,) lie, row and column."""
        inside = cells[:, None] - self._first
        within = ((inside >= 0) & (inside < self._cells[photos])).all(axis=2)
        found, level = np.nonzero(within)
        return Located(found, level, inside[found, level], self._scales[photos[found], level])


class Located(NamedTuple):
    """Cells that lie on a level: of n, m do."""

    found: Places
    """Which these are (m,)."""
    level: Places
    """The places (m,) of their levels on the sheet."""
    cells: Places
    """Their rows and columns (m, 2) on these levels."""
    scales: npt.NDArray[np.float64]
    """By how much these levels reduce their photos (m,)."""


def spread(levels: Sequence[Level], photos: int) -> Iterator[Sheet]:
    """Yield the sheets that hold the levels of so many photos, the largest level's first."""
    for part in (levels[:1], levels[1:]):
        if part:
            yield Sheet(part, photos)


@lru_cache(KEPT)
def arrange(sizes: tuple[Size, ...]) -> tuple[list[Size], Size]:
    """Return the upper left corners of rectangles, none over another, and what they fill in all.

    They are heights and widths, and rows and columns. Each is laid, as it comes, as far left as it
    can be within the greatest height, in a corner that those before it leave.
    """
    most = max(height for height, _ in sizes)
    laid: list[tuple[int, int, int, int]] = []
    for height, width in sizes:
        tops = {0, *(bottom for _, _, bottom, _ in laid)}
        lefts = {0, *(right for _, _, _, right in laid)}
        left, top = min(
            (left, top)
            for left, top in product(lefts, tops)
            if top + height <= most
            and all(
                top + height <= above or left + width <= before or top >= below or left >= after
                for above, before, below, after in laid
            )
        )
        laid.append((top, left, top + height, left + width))
    corners = [(top, left) for top, left, _, _ in laid]
    return corners, (most, max(right for _, _, _, right in laid))
