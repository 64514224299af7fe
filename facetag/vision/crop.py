"""The one crop rule: which square the network sees of a face, in training and in service.

The square follows from the detector's unclipped box alone. What of it lies outside the photo
repeats the photo's edge. Eyes are not levelled (docs/decisions/015-one-crop-rule.md).
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

LARGEST_SIDE = 2048
"""Sides from twice as many pixels on are cut from a reduced photo, so that padding stays small."""


@dataclass(frozen=True, slots=True)
class CropRule:
    """Side of the square and its centre's shift downwards, in heights of the box."""

    side: float = 0.95
    down: float = 0.03

    def square(self, box: tuple[float, float, float, float]) -> "Square":
        """Return the square for an unclipped box x1, y1, x2, y2."""
        x1, y1, x2, y2 = box
        height = y2 - y1
        return Square((x1 + x2) / 2, (y1 + y2) / 2 + self.down * height, self.side * height)

    def to_json(self) -> dict[str, Any]:
        """Return the rule as a bundle's manifest states it."""
        return {"name": "box-height-square", "padding": "edge", **asdict(self)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "CropRule":
        """Return the rule that a manifest states; raises ValueError for one of another name."""
        if fields.get("name") != "box-height-square" or fields.get("padding") != "edge":
            raise ValueError(f"unknown crop rule {fields!r}")
        return cls(side=float(fields["side"]), down=float(fields["down"]))


@dataclass(frozen=True, slots=True)
class Square:
    """A square of a photo: centre and side, in pixels; it may reach outside."""

    x: float
    y: float
    side: float

    def grown(self, factor: float) -> "Square":
        """Return the square about the same centre with its side multiplied by `factor`."""
        return Square(self.x, self.y, self.side * factor)

    def scaled(self, scale: float) -> "Square":
        """Return the square as it lies on a photo that is enlarged by a factor."""
        return Square(self.x * scale, self.y * scale, self.side * scale)

    def corners(self) -> tuple[float, float, float, float]:
        """Return x1, y1, x2, y2."""
        half = self.side / 2
        return self.x - half, self.y - half, self.x + half, self.y + half


def whole_image(photo: Pixels) -> Square:
    """Return the square about a whole photo: what stands in where no face was found."""
    height, width = photo.shape[:2]
    return Square(width / 2, height / 2, float(max(width, height)))


def cut_square(photo: Image.Image, square: Square, size: int) -> Pixels:
    """Return the square of a photo resampled to (size, size, 3), uint8."""
    reduction = int(square.side // LARGEST_SIDE)
    if reduction > 1:
        photo = photo.reduce(reduction)
        square = square.scaled(1 / reduction)
    width, height = photo.size
    x1, y1, x2, y2 = square.corners()
    left, top = int(np.floor(x1)), int(np.floor(y1))
    right, bottom = max(left + 1, int(np.ceil(x2))), max(top + 1, int(np.ceil(y2)))
    first_row, last_row = min(max(top, 0), height - 1), max(1, min(bottom, height))
    first_column, last_column = min(max(left, 0), width - 1), max(1, min(right, width))
    part = photo.crop((first_column, first_row, last_column, last_row))
    above, before = max(0, first_row - top), max(0, first_column - left)
    below = max(0, bottom - top - above - part.height)
    after = max(0, right - left - before - part.width)
    if above or below or before or after:
        pads = ((above, below), (before, after), (0, 0))
        part = Image.fromarray(np.pad(np.asarray(part), pads, mode="edge"))
    box = (
        max(0.0, x1 - left),
        max(0.0, y1 - top),
        min(float(part.width), x2 - left),
        min(float(part.height), y2 - top),
    )
    resampled = part.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
    return np.asarray(resampled)
