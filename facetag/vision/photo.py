"""A decoded photo as labelling needs it: a small copy to find faces in, and more for a small face.

A JPEG file is decoded at a half, a quarter or an eighth of its size at a fraction of the cost. Most
photos are far larger than what the detector looks at, and most faces are read as well there.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
"""An upright image: uint8, (height, width, 3), RGB."""

WORKING_FACE_PX = 40
"""Side of the smallest face asked for on a working copy: the output network sees 48 pixels."""
LARGEST_WORKING_SIDE = 4096
SMALL_ENOUGH = 1.1
"""An image up to so many times as large as it is to be stays as it is, such as a quarter of 4,032
pixels: making it smaller takes longer than looking at the rest of its pixels."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An upright photo of `width` x `height` pixels.

    `copy` is the photo reduced for the detector, `image` the photo as it was decoded: whole, or
    reduced, and then `decode_larger(scale)` returns it at that share of its size or more.
    """

    width: int
    height: int
    copy: Pixels
    image: Image.Image
    decode_larger: Callable[[float], Image.Image] | None = None

    @property
    def pixels_held(self) -> int:
        """How many pixels of it are in memory, the copy's aside."""
        return self.image.width * self.image.height

    def at_least(self, scale: float) -> Image.Image:
        """Return the photo at this share of its size or more; whole, where `scale` is 1 or more.

        Raises ImageUnreadable where the file must be decoded again and cannot be.
        """
        if self.decode_larger is None or self.image.width >= scale * self.width:
            return self.image
        return self.decode_larger(scale)


def whole_picture(pixels: Pixels, copy_side: int) -> Picture:
    """Return the picture of a photo that was decoded whole."""
    height, width = pixels.shape[:2]
    return Picture(width, height, reduce_to(pixels, copy_side), Image.fromarray(pixels))


def working_side(min_face: float) -> int:
    """Return the long side of working copies, in pixels, for the smallest face asked for."""
    return min(LARGEST_WORKING_SIDE, round(WORKING_FACE_PX / min_face))


def reduce_to(photo: Pixels, side: int) -> Pixels:
    """Return a photo as `reduce_image` does; the same, if it is small enough."""
    if max(photo.shape[:2]) <= SMALL_ENOUGH * side:
        return photo
    return np.asarray(reduce_image(Image.fromarray(photo), side))


def reduce_image(image: Image.Image, side: int) -> Image.Image:
    """Return an image reduced to a long side of `side` pixels; the same, if it is small enough."""
    if max(image.size) <= SMALL_ENOUGH * side:
        return image
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
