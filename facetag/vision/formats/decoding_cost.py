"""Tell from a JPEG file's markers whether decoding it may take long or much memory."""

import numpy as np

from facetag.vision.formats.jpeg_scans import ALL_FRAMES, START_OF_SCAN, list_segments

MARKER = 0xFF
"""The byte before each marker."""
BLOCK = 2**16
"""Bytes in which markers are counted at a time."""
MANY_SCANS = 24
"""Encoders write about ten scans; a file may state thousands, each a pass over the whole image."""
MUCH_WORK = 640_000_000
"""Pixels times scans: about what libjpeg decodes in ten seconds."""
MANY_SEGMENTS = 128
MANY_HEADER_BYTES = 2**23
"""Pillow joins the EXIF data of all segments anew for each: of a million tiny ones, for hours."""


def takes_long(data: bytes) -> bool:
    """Return whether decoding a JPEG file may take more than some seconds.

    A file of one scan, as most are, costs only a look at its header and a search for a marker.
    """
    if _has_long_header(data):
        return True
    scans = _count_scan_markers(data)
    if scans <= 1:
        return False
    if scans > MANY_SCANS:
        return True
    pixels = 0
    for number, (marker, body, _) in enumerate(list_segments(data)):
        if number == MANY_SCANS * MANY_SEGMENTS:
            return True
        if marker in ALL_FRAMES:
            area = int.from_bytes(body[1:3], "big") * int.from_bytes(body[3:5], "big")
            pixels = max(pixels, area)
    return scans * pixels > MUCH_WORK


def _count_scan_markers(data: bytes) -> int:
    # NumPy takes a third of the time of `bytes.count`, and blocks bound the memory.
    values = np.frombuffer(data, np.uint8)
    blocks = (values[start : start + BLOCK + 1] for start in range(0, len(values), BLOCK))
    return sum(
        int(np.count_nonzero((block[:-1] == MARKER) & (block[1:] == START_OF_SCAN)))
        for block in blocks
    )


def _has_long_header(data: bytes) -> bool:
    for number, (marker, _, end) in enumerate(list_segments(data)):
        if number == MANY_SEGMENTS or end > MANY_HEADER_BYTES:
            return True
        if marker == START_OF_SCAN:
            return False
    return len(data) > MANY_HEADER_BYTES
