"""Tell images by their first bytes, where names do not say what files are."""

import re

LONGEST = 32
"""Bytes of a file that are looked at."""

_SIGNATURES = re.compile(
    rb"\xff\xd8\xff"  # JPEG
    rb"|\x89PNG\r\n\x1a\n"
    rb"|RIFF....WEBP"
    rb"|GIF8[79]a"
    rb"|BM....\0\0\0\0"
    rb"|....ftyp(avif|avis|hei[cxms]|hev[cxms]|mif1|msf1|crx )"
    rb"|II\*\0|MM\0\*"  # TIFF and most raw formats
    rb"|\0\0\0\x0cJXL |\xff\x0a",
    re.DOTALL,
)


def is_image(start: bytes) -> bool:
    """Return whether a file that begins with these bytes is an image, readable here or not."""
    return _SIGNATURES.match(start) is not None
