"""Name the kinds of JPEG and TIFF files that no decoder here reads, though they may be sound.

Without this, the owner of a scan or of a floating-point photo would read that it is damaged.
"""

import io
import re

from PIL import TiffImagePlugin

from facetag.image_formats import BIG_TIFF_STARTS, JPEG_START, TIFF_STARTS
from facetag.vision.formats.jpeg_scans import JPEG_LS, find_frame

BITS = 8
"""Bits of a colour that are read of JPEG files."""
HIERARCHICAL = (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF)
COMPRESSION = 259
WEBP = 50001
"""Pillow knows this compression, but its libtiff is built without it."""
COMPRESSIONS = {
    WEBP: "WebP",
    34712: "JPEG 2000",
    34887: "LERC",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
UNKNOWN_PIXELS = "unknown pixel mode"
"""Pillow's words for pixels of a number, size or meaning that it has no mode for."""


def name_unread_kind(data: bytes) -> str | None:
    """Return what kind of JPEG or TIFF file this is if no decoder reads it, otherwise None."""
    if data.startswith(JPEG_START):
        return _name_jpeg(data)
    if data.startswith((*TIFF_STARTS, *BIG_TIFF_STARTS)):
        return _name_tiff(data)
    return None


def _name_jpeg(data: bytes) -> str | None:
    frame = find_frame(data)
    if frame is None:
        return None
    marker, body = frame
    if marker == JPEG_LS:
        return "JPEG-LS"
    if marker in HIERARCHICAL:
        return "Hierarchical JPEG"
    if body and body[0] != BITS:
        return f"JPEG of {body[0]} bits"
    return None


def _name_tiff(data: bytes) -> str | None:
    if data.startswith(BIG_TIFF_STARTS[1]):
        return "BigTIFF in big-endian order"
    try:
        with TiffImagePlugin.TiffImageFile(io.BytesIO(data)) as image:
            compression = image.tag_v2.get(COMPRESSION)
            return f"TIFF compressed by {COMPRESSIONS[WEBP]}" if compression == WEBP else None
    except SyntaxError as error:
        # Pillow states a compression that it does not know by its number alone.
        text = str(error)
        if text == UNKNOWN_PIXELS:
            return "TIFF with pixels of this kind, such as colours of 32 bits,"
        if re.fullmatch(r"\d+", text):
            return f"TIFF compressed by {COMPRESSIONS.get(int(text), f'method {text}')}"
    except (OSError, ValueError, LookupError, TypeError):
        pass
    return None
