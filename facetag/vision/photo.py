"""Hold a decoded photo: a small copy to find faces in, and larger pixels to cut small faces from.

Decoding a JPEG file at a half, a quarter or an eighth of its size costs a fraction of the time.
Most photos are far larger than the detector needs, and most faces are read equally well at a
reduced size.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
"""An upright image: uint8, (height, width, 3), RGB."""

WORKING_FACE_PX = 40
"""Side of the smallest face on a working copy; MTCNN's output network sees 48 pixels."""
FIRST_SHARE = 0.04
"""The smallest face on a working copy, in long sides; smaller ones are sought in larger copies."""
WORKING_SIDE = round(WORKING_FACE_PX / FIRST_SHARE)
"""Long side of working copies in pixels."""
LARGEST_WORKING_SIDE = 4096
LONG = 2.5
"""Sides' ratio from which a photo is long, such as a page's screenshot. Phones' screens are not."""
LONG_SIDES = 2
"""Short sides of a long photo that count as its long side: it is searched in parts."""
SMALL_ENOUGH = 1.1
"""An image up to this many times its target size is not reduced, such as a quarter of 4,032 pixels:
reducing it would take longer than searching its additional pixels."""


@dataclass(frozen=True, slots=True)
class WholePhoto:
    """Hold the pixels of an upright photo, and whether its file lacks its last bytes."""

    pixels: Pixels
    incomplete: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """Hold an upright photo of `width` x `height` pixels.

    `copy` is the photo reduced for the detector. `decoded` is the photo as it was decoded, whole or
    reduced; it may be a turned view. If it is reduced, `decode_larger(scale)` decodes it again, at
    that share of its size or more. `incomplete` tells that the file lacks its last bytes, such as a
    few rows.
    """

    width: int
    height: int
    copy: Pixels
    decoded: Pixels
    decode_larger: Callable[[float], Pixels] | None = None
    incomplete: bool = False

    @property
    def pixels_held(self) -> int:
        """The number of its pixels in memory, without those of the copy."""
        return self.decoded.shape[0] * self.decoded.shape[1]

    def at_least(self, scale: float) -> Pixels:
        """Return the photo at this share of its size or more; the whole photo from 1 on.

        Raises ImageUnreadable if the file has to be decoded again and decoding fails.
        """
        if self.decode_larger is None or self.decoded.shape[1] >= scale * self.width:
            return self.decoded
        return self.decode_larger(scale)


def whole_picture(pixels: Pixels, copy_side: int, *, incomplete: bool = False) -> Picture:
    """Return the picture of a photo that was decoded whole."""
    height, width = pixels.shape[:2]
    copy = reduce_to(pixels, copy_side)
    return Picture(width, height, copy, pixels, incomplete=incomplete)


def is_long(size: tuple[int, ...]) -> bool:
    """Return whether a photo of these two sides is searched in parts."""
    return max(size) > LONG * min(size)


def searched_side(size: tuple[int, ...]) -> int:
    """Return the long side by which the sizes of faces are measured, in pixels."""
    return LONG_SIDES * min(size) if is_long(size) else max(size)


def reduce_to(photo: Pixels, side: int) -> Pixels:
    """Return a photo reduced as `reduce_image` does, or unchanged if small enough."""
    if copy_scale(photo.shape[:2], side) == 1:
        return photo
    return np.asarray(reduce_image(Image.fromarray(photo), side))


def reduce_whole(photo: Pixels, side: int) -> Pixels:
    """Return a photo whose longer side is reduced to `side` pixels, be it a long photo or not."""
    if max(photo.shape[:2]) <= SMALL_ENOUGH * side:
        return photo
    return np.asarray(reduce_by(Image.fromarray(photo), side / max(photo.shape[:2])))


def reduce_image(image: Image.Image, side: int) -> Image.Image:
    """Return an image reduced to a long side of `side` pixels, or unchanged if small enough."""
    scale = copy_scale(image.size, side)
    return image if scale == 1 else reduce_by(image, scale)


def reduce_to_pixels(image: Image.Image, most: int) -> Image.Image:
    """Return an image reduced to `most` pixels, or unchanged if it has no more."""
    pixels = image.width * image.height
    return image if pixels <= most else reduce_by(image, math.sqrt(most / pixels))


def copy_scale(size: tuple[int, ...], side: int) -> float:
    """Return by what an image of these two sides is reduced for a copy of this long side."""
    searched = searched_side(size)
    scale = 1.0 if searched <= SMALL_ENOUGH * side else side / searched
    pixels = size[0] * size[1] * scale**2
    most = max(side, LARGEST_WORKING_SIDE) ** 2
    return scale if pixels <= most else scale * math.sqrt(most / pixels)


def reduce_by(image: Image.Image, scale: float) -> Image.Image:
    """Return an image reduced to a share of its sides."""
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
