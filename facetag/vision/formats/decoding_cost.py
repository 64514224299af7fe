"""Tell from a JPEG file's markers whether decoding it may take long or much memory."""

from facetag.vision.formats.jpeg_scans import FRAMES, list_segments

SCAN_MARKER = b"\xff\xda"
MANY_SCANS = 24
"""Encoders write about ten scans; a file may state thousands, each a pass over the whole image."""
MUCH_WORK = 640_000_000
"""Pixels times scans: about what libjpeg decodes in ten seconds."""


def takes_long(data: bytes) -> bool:
    """Return whether decoding a JPEG file may take more than some seconds.

    A file of one scan, as most are, costs only a search for a marker.
    """
    scans = data.count(SCAN_MARKER)
    if scans <= 1:
        return False
    if scans > MANY_SCANS:
        return True
    pixels = (
        int.from_bytes(body[1:3], "big") * int.from_bytes(body[3:5], "big")
        for marker, body, _ in list_segments(data)
        if marker in FRAMES
    )
    return scans * max(pixels, default=0) > MUCH_WORK
