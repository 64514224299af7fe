"""Lay pyramid levels side by side, so that the proposal network needs two calls instead of nine.

A photo's largest level is one sheet. All smaller levels together have about as many pixels and are
another sheet. A cell that lies across two levels belongs to none.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facetag.vision.mtcnn.pyramid import MARGIN, STRIDE, Level, Sizes, cells_of, round_up

SHEET_STEP = 8
"""Sides of sheets are multiples of this, which limits the number of shapes."""
KEPT = 512
"""Number of arrangements that are cached."""

Size = tuple[int, int]
Places = npt.NDArray[np.intp]


class Sheet:
    """Place levels of a batch of photos, each at the same place of every photo's sheet."""

    def __init__(self, levels: Sequence[Level], photos: int) -> None:
        self.levels = levels
        self.corners, (height, width) = arrange(tuple(level.room for level in levels))
        self.shape = round_up(height, SHEET_STEP), round_up(width, SHEET_STEP)
        self._first: Sizes = np.array(self.corners, np.int32) // STRIDE
        self._cells: Sizes = np.zeros((photos, len(levels), 2), np.int32)
        self._own: Sizes = np.zeros((photos, len(levels), 2), np.int32)
        self._scales = np.ones((photos, len(levels)))
        for place, level in enumerate(levels):
            self._cells[level.photos, place] = cells_of(level.sizes + 2 * MARGIN)
            self._own[level.photos, place] = cells_of(level.sizes)
            self._scales[level.photos, place] = level.scales

    def locate(self, photos: Places, cells: Places) -> "Located":
        """Find the levels on which cells (n, 2: row, column) of the photos' sheets (n,) lie."""
        inside = cells[:, None] - self._first
        within = ((inside >= 0) & (inside < self._cells[photos])).all(axis=2)
        found, level = np.nonzero(within)
        places = inside[found, level] - MARGIN // STRIDE
        own = np.all((places >= 0) & (places < self._own[photos[found], level]), axis=1)
        return Located(found, level, places, own, self._scales[photos[found], level])


class Located(NamedTuple):
    """Hold the m of n cells that lie on a level."""

    found: Places
    """Their indices (m,) among the n cells."""
    level: Places
    """The indices (m,) of their levels on the sheet."""
    cells: Places
    """Their rows and columns (m, 2) within these levels; negative in the margin before them."""
    own: npt.NDArray[np.bool_]
    """Whether they lie (m,) on the levels wholly, not in part on the margins."""
    scales: npt.NDArray[np.float64]
    """The scales (m,) of these levels relative to their photos."""


def spread(levels: Sequence[Level], photos: int) -> Iterator[Sheet]:
    """Yield the sheets for the levels of `photos` photos, the largest level's sheet first."""
    for part in (levels[:1], levels[1:]):
        if part:
            yield Sheet(part, photos)


@lru_cache(KEPT)
def arrange(sizes: tuple[Size, ...]) -> tuple[list[Size], Size]:
    """Return the upper left corners of rectangles that do not overlap, and the size they fill.

    Sizes are (height, width), corners (row, column). In the given order, each rectangle is put as
    far left as possible within the greatest height, at a corner that the earlier ones leave.
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
