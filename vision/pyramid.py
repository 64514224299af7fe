"""The sizes that MTCNN looks at photos in, and the canvases on which photos go together.

Every photo has the levels that the `mtcnn` package would give it alone: which of a face's candidate
boxes wins, and so where its box ends, hangs on single pixels. Levels are laid on canvases of a
bounded set of shapes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vision.area import Reduced, reduce_by_area
from vision.boxes import Boxes
from vision.picture import Pixels

CELL = 12
"""Side of the patch that the proposal network judges, and of the smallest level, in pixels."""
STRIDE = 2
SCALE_FACTOR = 0.709
SMALLEST_FACE_PX = 20
"""The smallest face that is looked for in a photo shown at full size: mtcnn's own default."""
GREY = 127.5
"""What lies outside a photo: it is normalised to nothing."""
CANVAS_STEP, LEVEL_STEP = 64, 8
"""Sides of canvases, and of those of levels, are multiples of this, which bounds their number."""

Sizes = npt.NDArray[np.int32]
"""Heights and widths, (n, 2)."""


class Canvases:
    """Working copies of one canvas shape, each in the upper left corner of a grey canvas."""

    def __init__(self, copies: Sequence[Pixels], min_face: float) -> None:
        shape = canvas_shape(copies[0])
        # They stay bytes, a quarter of the memory: levels and patches alone are floats.
        self._pixels = np.full((len(copies), *shape, 3), 128, dtype=np.uint8)
        for canvas, copy in zip(self._pixels, copies, strict=True):
            canvas[: copy.shape[0], : copy.shape[1]] = copy
        self._sizes: Sizes = np.array([copy.shape[:2] for copy in copies], np.int32)
        self._copies = copies
        self._min_face = min_face

    def levels(self) -> Iterator[tuple["Level", Reduced]]:
        """Yield levels, the largest first, and the photos at each on its grey canvas.

        These are (n, height, width, 3), in 0..255.
        """
        levels = list(build_pyramid(self._sizes, self._min_face))
        reduced = []
        for photo, copy in enumerate(self._copies):
            sizes = [level.size_of(photo) for level in levels if photo in level.photos]
            reduced.append(iter(reduce_by_area(copy, sizes)))
        for level in levels:
            drawn = np.full((len(level.photos), *level.canvas, 3), GREY, np.float32)
            for canvas, photo, (height, width) in zip(
                drawn, level.photos, level.sizes, strict=True
            ):
                canvas[:height, :width] = next(reduced[photo])
            yield level, drawn

    def cut(self, boxes: Boxes, photos: npt.NDArray[np.int32], side: int) -> Reduced:
        """Return what boxes x1, y1, x2, y2 on photos show, (n, side, side, 3), in 0..255.

        Interpolated between four pixels each, as `tf.image.crop_and_resize` does.
        """
        (_, height, width, _), sizes = self._pixels.shape, self._sizes[photos].astype(np.float32)
        # A pixel of each photo as mtcnn counts, who has no canvas.
        unit = (sizes - 1) / sizes
        rows = _Samples(boxes[:, 1] * unit[:, 0], boxes[:, 3] * unit[:, 0], side, height)
        columns = _Samples(boxes[:, 0] * unit[:, 1], boxes[:, 2] * unit[:, 1], side, width)
        pixels = self._pixels.reshape(-1, 3)
        across = columns.share[:, None, :, None]

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
    """The pixels that lie before and after evenly spaced places in `length` pixels: (n, count)."""

    def __init__(self, first: Boxes, last: Boxes, count: int, length: int) -> None:
        step = (last - first) / np.float32(count - 1)
        places = first[:, None] + np.arange(count, dtype=np.float32) * step[:, None]
        self.outside = (places < 0) | (places > length - 1)
        places = places.clip(0, length - 1)
        self.before = np.floor(places).astype(np.int32)
        self.after = np.ceil(places).astype(np.int32)
        self.share = places - self.before.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the pyramids of some photos of a batch, of nearly one size."""

    photos: npt.NDArray[np.int32]
    """Their places in the batch; those whose pyramid ended before are missing."""
    scales: npt.NDArray[np.float64]
    sizes: Sizes
    canvas: tuple[int, int]

    def size_of(self, photo: int) -> tuple[int, int]:
        """Return the height and width of one of its photos, by its place in the batch."""
        height, width = self.sizes[self.photos == photo][0]
        return int(height), int(width)


def build_pyramid(sizes: Sizes, min_face: float) -> Iterator[Level]:
    """Yield the levels of photos of these sizes, the largest first."""
    scales = CELL / np.maximum(SMALLEST_FACE_PX, min_face * sizes.max(axis=1))
    while True:
        levels = (sizes * scales[:, None]).astype(np.int32)
        photos = np.flatnonzero(levels.min(axis=1) >= CELL).astype(np.int32)
        if not len(photos):
            return
        height, width = (_round_up(int(side), LEVEL_STEP) for side in levels[photos].max(axis=0))
        yield Level(photos, scales[photos], levels[photos], (height, width))
        scales = scales * SCALE_FACTOR


def canvas_shape(copy: Pixels) -> tuple[int, int]:
    """Return height and width of the canvas that a working copy is laid on."""
    height, width = (_round_up(side, CANVAS_STEP) for side in copy.shape[:2])
    return height, width


def cells_of(levels: Sizes) -> Sizes:
    """Return how many rows and columns of cells the proposal network judges in levels (n, 2)."""
    return (levels - 1) // STRIDE - 4


def _round_up(side: int, step: int) -> int:
    return -(-side // step) * step
