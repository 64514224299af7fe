"""Print a photo in one ink on coloured paper, as old papers and copies are: grey and tinted."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
FINER = 3
"""Dots are drawn so many times finer than the photo, and then averaged."""


@dataclass(frozen=True, slots=True)
class Print:
    """The colours of a print, and the distance of its dots."""

    ink: Colour
    """RGB of what was black."""
    paper: Colour
    """RGB of what was white."""
    dots: float = 0.0
    """Pixels between two dots of the screen; with 0 the ink has all tones."""


def print_photo(photo: Pixels, printed: Print, place: int) -> Pixels:
    """Return the photo (height, width, 3) as it is printed; `place` decides where dots lie."""
    grey = Image.fromarray(photo).convert("L")
    tones = (
        _screen(grey, printed.dots, np.random.default_rng(place))
        if printed.dots
        else np.asarray(grey, np.float32) / 255
    )
    ink, paper = (np.array(colour, np.float32) for colour in (printed.ink, printed.paper))
    mixed = ink + (paper - ink) * tones[..., None]
    return mixed.round().clip(0, 255).astype(np.uint8)


def _screen(grey: Image.Image, dots: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return the share of paper (height, width) where ink lies in dots, at 45 degrees."""
    fine = grey.resize((grey.width * FINER, grey.height * FINER), Image.Resampling.BILINEAR)
    rows, columns = np.indices((fine.height, fine.width), dtype=np.float32) / FINER
    y, x = rows + rng.uniform(0, 2 * dots), columns + rng.uniform(0, 2 * dots)
    turn = np.float32(2 * np.pi / (dots * np.sqrt(2)))
    height = (np.cos((x + y) * turn) + np.cos((x - y) * turn)) / 4 + 0.5
    paper = (np.asarray(fine, np.float32) / 255 > height).astype(np.float32)
    blocks = paper.reshape(grey.height, FINER, grey.width, FINER)
    shares: npt.NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return shares
