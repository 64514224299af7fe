"""The sizes that MTCNN looks at photos in, and the canvases on which photos go together.

Every photo has the levels that the `mtcnn` package would give it alone: which of a face's candidate
boxes wins, and so where its box ends, hangs on single pixels. Levels are laid on canvases of a
bounded set of shapes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import tensorflow as tf

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

    def __init__(self, copies: Sequence[Pixels]) -> None:
        shape = canvas_shape(copies[0])
        canvases = np.full((len(copies), *shape, 3), 128, dtype=np.uint8)
        for canvas, copy in zip(canvases, copies, strict=True):
            canvas[: copy.shape[0], : copy.shape[1]] = copy
        self.sizes: Sizes = np.array([copy.shape[:2] for copy in copies], np.int32)
        self.copies = copies
        # They stay bytes, a quarter of the memory: levels and patches alone are floats.
        self.pixels = tf.constant(canvases)
        self._shape = np.array(shape)

    @cached_property
    def _unit(self) -> Boxes:
        """A pixel of each photo as `crop_and_resize` counts: mtcnn's, who has no canvas."""
        return (self.sizes - 1) / self.sizes / (self._shape - 1)

    def relative(self, boxes: Boxes, photos: npt.NDArray[np.int32]) -> Boxes:
        """Return boxes x1, y1, x2, y2 in pixels as y1, x1, y2, x2 in sides of the canvas."""
        relative: Boxes = (boxes[:, [1, 0, 3, 2]] * np.tile(self._unit, 2)[photos]).astype(
            np.float32
        )
        return relative

    def draw(self, level: "Level") -> npt.NDArray[np.float32]:
        """Return photos at a level's size on its grey canvas (n, height, width, 3), in 0..255."""
        drawn = np.full((len(level.photos), *level.canvas, 3), GREY, np.float32)
        for canvas, photo, (height, width) in zip(drawn, level.photos, level.sizes, strict=True):
            reduced = tf.raw_ops.ResizeArea(
                images=self._tensors[photo], size=(height, width), align_corners=False
            )
            canvas[:height, :width] = reduced.numpy()[0]
        return drawn

    @cached_property
    def _tensors(self) -> list[tf.Tensor]:
        return [tf.constant(copy[None]) for copy in self.copies]


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the pyramids of some photos of a batch, of nearly one size."""

    photos: npt.NDArray[np.int32]
    """Their places in the batch; those whose pyramid ended before are missing."""
    scales: npt.NDArray[np.float64]
    sizes: Sizes
    canvas: tuple[int, int]


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
