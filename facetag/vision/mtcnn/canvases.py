"""Lay working copies on canvases of few shapes, and cut what MTCNN's networks see from them.

The networks see sheets of pyramid levels, and patches.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from facetag.vision.mtcnn.area_resize import Reduced, reduce_by_area
from facetag.vision.mtcnn.boxes import Boxes
from facetag.vision.mtcnn.pyramid import MARGIN, Sizes, build_pyramid, round_up
from facetag.vision.mtcnn.pyramid_sheets import Sheet, spread
from facetag.vision.photo import Pixels

GREY = 127.5
"""The value of pixels outside a photo; it is normalised to 0."""
CANVAS_STEP = 64
"""Sides of canvases are multiples of this, which limits the number of shapes."""


class Canvases:
    """Hold working copies of one canvas shape, each in the upper left corner of a grey canvas."""

    def __init__(
        self, copies: Sequence[Pixels], smallest: Sequence[float], most_levels: int | None = None
    ) -> None:
        shape = canvas_shape(copies[0])
        # Canvases stay bytes, a quarter of the memory; only levels and patches are floats.
        self._pixels = np.full((len(copies), *shape, 3), 128, dtype=np.uint8)
        for canvas, copy in zip(self._pixels, copies, strict=True):
            canvas[: copy.shape[0], : copy.shape[1]] = copy
        self._sizes: Sizes = np.array([copy.shape[:2] for copy in copies], np.int32)
        self._copies = copies
        self._smallest = np.array(smallest, np.float64)
        self._most_levels = most_levels

    def __len__(self) -> int:
        """Return the number of working copies."""
        return len(self._copies)

    def sheets(self) -> Iterator[tuple[Sheet, Reduced]]:
        """Yield each sheet and its pixels (photos, height, width, 3), with the photos' levels.

        Pixels are in 0..255, and grey between the levels.
        """
        levels = list(build_pyramid(self._sizes, self._smallest, self._most_levels))
        reduced = []
        for photo, copy in enumerate(self._copies):
            sizes = [level.size_of(photo) for level in levels if photo in level.photos]
            reduced.append(iter(reduce_by_area(copy, sizes)))
        for sheet in spread(levels, len(self._copies)):
            drawn = np.full((len(self._copies), *sheet.shape, 3), GREY, np.float32)
            for level, (top, left) in zip(sheet.levels, sheet.corners, strict=True):
                for photo, (height, width) in zip(level.photos, level.sizes, strict=True):
                    place = drawn[photo, top + MARGIN :, left + MARGIN :][:height, :width]
                    place[:] = next(reduced[photo])
            yield sheet, drawn

    def cut(self, boxes: Boxes, photos: npt.NDArray[np.int32], side: int) -> Reduced:
        """Return the pixels (n, side, side, 3) within boxes x1, y1, x2, y2 of photos, in 0..255.

        Each is interpolated between four pixels, as `tf.image.crop_and_resize` does.
        """
        (_, height, width, _), sizes = self._pixels.shape, self._sizes[photos].astype(np.float32)
        # The size of a pixel as mtcnn counts it, which uses no canvas.
        unit = (sizes - 1) / sizes
        rows = _Samples(boxes[:, 1] * unit[:, 0], boxes[:, 3] * unit[:, 0], side, height)
        columns = _Samples(boxes[:, 0] * unit[:, 1], boxes[:, 2] * unit[:, 1], side, width)
        pixels = self._pixels.reshape(-1, 3)
        # NumPy multiplies whole rows faster than pixels of three values.
        across = columns.share.repeat(3, axis=1).reshape(-1, 1, side, 3)

        def along(row: npt.NDArray[np.int32]) -> Reduced:
            places = ((photos * height)[:, None] + row)[:, :, None] * width
            left = pixels.take(places + columns.before[:, None], axis=0).astype(np.float32)
            change = pixels.take(places + columns.after[:, None], axis=0) - left
            change *= across
            left += change
            return left

        patches = along(rows.before)
        change = along(rows.after)
        change -= patches
        change *= rows.share[:, :, None, None]
        patches += change
        patches[rows.outside[:, :, None] | columns.outside[:, None]] = GREY
        return patches


class _Samples:
    """Find the pixels (n, count) before and after evenly spaced places in `length` pixels."""

    def __init__(self, first: Boxes, last: Boxes, count: int, length: int) -> None:
        step = (last - first) / np.float32(count - 1)
        places = first[:, None] + np.arange(count, dtype=np.float32) * step[:, None]
        self.outside = (places < 0) | (places > length - 1)
        places = places.clip(0, length - 1)
        self.before = np.floor(places).astype(np.int32)
        self.after = np.ceil(places).astype(np.int32)
        self.share = places - self.before.astype(np.float32)


def canvas_shape(copy: Pixels) -> tuple[int, int]:
    """Return the height and width of the canvas for a working copy."""
    height, width = (round_up(side, CANVAS_STEP) for side in copy.shape[:2])
    return height, width
