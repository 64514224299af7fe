"""Hash how a photo looks: copies that were encoded again or reduced differ in few bits."""

import numpy as np
import numpy.typing as npt
from PIL import Image

HASH_BYTES = 32
SHADES = 3
"""Least standard deviation of the reduced photo, in grey levels of 255, for a hash that tells it
from others: that of a blank page is noise."""

Hashes = npt.NDArray[np.uint8]


def difference_hash(photo: npt.NDArray[np.uint8]) -> Hashes:
    """Return the 256-bit difference hash of a photo (height, width, 3), packed to 32 bytes."""
    return _hash(_reduce(Image.fromarray(photo)))


def hash_look(photo: Image.Image) -> bytes | None:
    """Return the photo's difference hash; None for a photo with too little in it."""
    small = _reduce(photo)
    return None if small.std() < SHADES else _hash(small).tobytes()


def _reduce(photo: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(photo.convert("L").resize((17, 16), Image.Resampling.BOX))


def _hash(small: npt.NDArray[np.uint8]) -> Hashes:
    return np.packbits(small[:, 1:] > small[:, :-1])
