"""Open images of any size with Pillow, whose own limit stays as it is for the rest of the program.

A program that labels photos may open untrusted images itself, and rely on Pillow's limit.
"""

import threading
from typing import BinaryIO

from PIL import Image

_TURN = threading.Lock()


def open_any_size(file: BinaryIO, formats: tuple[str, ...] | None = None) -> Image.Image:
    """Return what `Image.open` does; whoever calls checks the size before pixels are decoded."""
    with _TURN:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
