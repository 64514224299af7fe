"""Read a JPEG XL file's size from its header: its decoder tells it only once all is decoded.

The header is that of ISO/IEC 18181-1, "SizeHeader"; a container (18181-2) holds it in a box.
"""

from facetag.image_formats import JPEG_XL_CODESTREAM

LENGTHS = (9, 13, 18, 30)
"""Bits of a side, by the two bits before it."""
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width to height, by the three bits after the height, less one."""
PART_NUMBER = 4
"""Bytes before the codestream in a box `jxlp`."""


def read_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height; None where no header is found."""
    start = _find_codestream(data)
    if start is None or data[start : start + 2] != JPEG_XL_CODESTREAM:
        return None
    bits = _Bits(data[start + 2 : start + 14])
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    if ratio == 0:
        return _side(bits, small), height
    across, down = RATIOS[ratio - 1]
    return height * across // down, height


def _side(bits: "_Bits", small: int) -> int:
    return 8 * (bits.take(5) + 1) if small else bits.take(LENGTHS[bits.take(2)]) + 1


def _find_codestream(data: bytes) -> int | None:
    if data.startswith(JPEG_XL_CODESTREAM):
        return 0
    place = 0
    while place + 8 <= len(data):
        kind, inside = data[place + 4 : place + 8], 8
        size = int.from_bytes(data[place : place + 4], "big")
        if size == 1:
            inside = 16
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        if kind in (b"jxlc", b"jxlp"):
            return place + inside + (PART_NUMBER if kind == b"jxlp" else 0)
        if size < inside:
            return None
        place += size
    return None


class _Bits:
    """Take bits from bytes, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._left & ((1 << count) - 1)
        self._left >>= count
        return value
