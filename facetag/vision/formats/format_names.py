"""Name the format of an image file for people, so that its owner can convert what is refused."""

import re

from facetag.image_formats import NAMED_STARTS, TIFF

_PATTERNS = {name: re.compile(start, re.DOTALL) for name, start in NAMED_STARTS.items()}
_LOOKED_AT = 4096
_OF_PILLOW = {"TIFF": TIFF, "JPEG2000": "JPEG 2000", "PSD": "Photoshop (PSD)"}


def name_format(data: bytes, opened_as: str | None = None) -> str | None:
    """Return the name of a file's format for people, or None if this is no known image format.

    `opened_as` is Pillow's name of the format, if Pillow opened the file.
    """
    start = data[:_LOOKED_AT]
    for name, pattern in _PATTERNS.items():
        if pattern.match(start):
            return name
    return None if opened_as is None else _OF_PILLOW.get(opened_as, opened_as)


def decodable_formats() -> set[str]:
    """Return the names, Pillow's but for RAW, of the formats that can be decoded here."""
    from PIL import Image

    Image.init()
    return {*Image.OPEN, "HEIF", "JXL", "RAW"}
