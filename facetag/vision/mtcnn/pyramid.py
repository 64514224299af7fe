"""Compute the sizes in which MTCNN searches photos.

Every photo has exactly the levels that the `mtcnn` package gives it: single pixels decide which of
a face's candidate boxes wins, and so where its box ends. Two things are added, which leave those
levels as they are: a margin of half a cell about each level, in which faces that hang over the
photo's edge lie, and levels that are smaller than a cell, for faces larger than the photo.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt

CELL = 12
"""Side of the patch that the proposal network judges, and of the smallest level, in pixels."""
STRIDE = 2
SCALE_FACTOR = 0.709
SMALLEST_FACE_PX = 20
"""The smallest face that is searched for in a photo at full size, as mtcnn does by default."""
MARGIN = CELL // 2
"""Pixels about each level, in whole steps of the cells, so that its own cells stay in place."""
SMALLEST_LEVEL = 8
"""Shortest side of a level in pixels; a cell of the smallest one shows a face half as high again
as the photo."""

Sizes = npt.NDArray[np.int32]
"""Heights and widths, (n, 2)."""


@dataclass(frozen=True, slots=True)
class Level:
    """Hold one pyramid level of photos of a batch that are of nearly the same size."""

    photos: npt.NDArray[np.int32]
    """Indices in the batch; photos whose pyramid has ended before are missing."""
    scales: npt.NDArray[np.float64]
    sizes: Sizes

    @property
    def room(self) -> tuple[int, int]:
        """The height and width that hold each photo's level and margin, in whole steps of cells."""
        sides = self.sizes.max(axis=0) + 2 * MARGIN
        height, width = (round_up(int(side), STRIDE) for side in sides)
        return height, width

    def size_of(self, photo: int) -> tuple[int, int]:
        """Return the height and width of one of its photos, given its index in the batch."""
        height, width = self.sizes[self.photos == photo][0]
        return int(height), int(width)


def build_pyramid(
    sizes: Sizes, smallest: npt.NDArray[np.float64], most: int | None = None
) -> Iterator[Level]:
    """Yield at most `most` levels of photos of these sizes (n, 2), the largest level first.

    `smallest` (n,) are the heights in pixels of the smallest faces that are searched for.
    """
    scales = CELL / smallest
    for _ in count() if most is None else range(most):
        levels = (sizes * scales[:, None]).astype(np.int32)
        photos = np.flatnonzero(levels.min(axis=1) >= SMALLEST_LEVEL).astype(np.int32)
        if not len(photos):
            return
        yield Level(photos, scales[photos], levels[photos])
        scales = scales * SCALE_FACTOR


def cells_of(levels: Sizes) -> Sizes:
    """Return the rows and columns of cells (n, 2) that the proposal network judges in levels."""
    return (levels - 1) // STRIDE - 4


def round_up(side: int, step: int) -> int:
    """Return the smallest multiple of `step` that is at least `side`."""
    return -(-side // step) * step
