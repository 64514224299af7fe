"""Find the preview that a camera's raw file embeds: a photo, turned as the camera was held.

LibRaw reads it (`rawpy`). Many raw files begin as TIFF files do and hold a tiny picture that a TIFF
decoder would take for the photo, so they are told from TIFF files by their tags.
"""

import io

from PIL import ExifTags, Image

from facetag.errors import ErrorCode, ImageUnreadable
from facetag.image_formats import TIFF
from facetag.vision.formats.format_names import name_format
from facetag.vision.formats.pillow_limit import open_any_size

RAW = "RAW"
"""The name of raw files among the accepted formats; Pillow has none."""
DNG_VERSION, MAKE, SUB_IFDS, PHOTOMETRIC = 50706, 271, 330, 262
SENSOR_DATA = (32803, 34892)
"""Photometric interpretations of a sensor's pixels."""
ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}
"""EXIF orientations by LibRaw's turns."""


def is_raw(data: bytes) -> bool:
    """Return whether a file is a camera's raw file, as its first bytes and tags say."""
    name = name_format(data)
    if name == TIFF:
        return _has_raw_tags(data)
    return name is not None and "raw (" in name


def read_preview(data: bytes) -> bytes:
    """Return the largest embedded preview of a raw file, as a JPEG or PNG file.

    Raises ImageUnreadable for a file that LibRaw does not know, that has no preview that can be
    read, or that ends early.
    """
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            preview = raw.extract_thumb()
            orientation = ORIENTATIONS.get(raw.sizes.flip, 1)
    except rawpy.LibRawIOError as error:
        raise ImageUnreadable(
            ErrorCode.TRUNCATED, "The file ends before its image does."
        ) from error
    except rawpy.LibRawError as error:
        raise ImageUnreadable(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{name_format(data)} without a preview that can be read. "
            "Convert it, for example to JPEG.",
        ) from error
    if isinstance(preview.data, bytes):
        return preview.data
    exif, file = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(preview.data).save(file, "PNG", exif=exif, compress_level=1)
    return file.getvalue()


def _has_raw_tags(data: bytes) -> bool:
    try:
        with open_any_size(io.BytesIO(data), formats=("TIFF",)) as image:
            tags = image.tag_v2  # type: ignore[attr-defined]
            sensor = tags.get(PHOTOMETRIC) in SENSOR_DATA
            return DNG_VERSION in tags or sensor or (MAKE in tags and SUB_IFDS in tags)
    except (OSError, SyntaxError, ValueError, LookupError, TypeError):
        return False
