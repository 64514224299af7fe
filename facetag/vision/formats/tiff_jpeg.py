"""See damage in the strips or tiles of a TIFF file that are compressed as JPEG.

libtiff passes over libjpeg's warnings, as Pillow does for JPEG files.
"""

from PIL.TiffImagePlugin import (
    COMPRESSION,
    STRIPBYTECOUNTS,
    STRIPOFFSETS,
    TILEBYTECOUNTS,
    TILEOFFSETS,
    ImageFileDirectory_v2,
)

from facetag.vision.formats.jpeg_pixels import check_part
from facetag.vision.formats.jpeg_scans import START_OF_IMAGE

JPEG = 7
JPEG_TABLES = 347
"""The tag of a file, between two markers, that holds the tables of all parts."""
MARKER_BYTES = 2


def check_jpeg_parts(tags: ImageFileDirectory_v2, data: bytes) -> None:
    """Check each strip or tile of the image with these tags, if it is compressed as JPEG.

    Raises ImageUnreadable, `decode_error` or `truncated`, for a damaged one.
    """
    if tags.get(COMPRESSION) != JPEG:
        return
    tables = tags.get(JPEG_TABLES, b"")[MARKER_BYTES:-MARKER_BYTES]
    for places, sizes in ((STRIPOFFSETS, STRIPBYTECOUNTS), (TILEOFFSETS, TILEBYTECOUNTS)):
        for place, size in zip(tags.get(places, ()), tags.get(sizes, ()), strict=False):
            part = data[place + MARKER_BYTES : place + size]
            check_part(START_OF_IMAGE + tables + part)
