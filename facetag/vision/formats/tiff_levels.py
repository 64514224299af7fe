"""Correct the levels of 16 bits that Pillow misreads in TIFF files without a warning.

It takes the planes of an uncompressed file, one per colour, for planes of 8 bits: the photo becomes
noise. Grey that is white at 0, as in a scan of a negative, stays inverted.
"""

from PIL import Image, ImageOps
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    TiffImageFile,
)

from facetag.errors import ErrorCode, ImageUnreadable

BITS = 16
SEPARATE_PLANES = 2
WHITE_IS_ZERO = 0
READ = ("RGB", "RGBA")
"""Modes whose planes of 16 bits Pillow can read."""
GREY = ("I;16", "I;16B")
"""Modes whose only plane Pillow calls as the mode."""


def correct_planes(image: TiffImageFile) -> None:
    """Have the planes of an opened file, whose pixels are not loaded yet, read with their bits.

    Raises ImageUnreadable for planes that cannot be read.
    """
    bits = max(image.tag_v2.get(BITSPERSAMPLE, (1,)))
    separate = image.tag_v2.get(PLANAR_CONFIGURATION) == SEPARATE_PLANES
    if bits != BITS or not separate or all(tile.codec_name != "raw" for tile in image.tile):
        return
    if image.mode not in (*READ, *GREY):
        raise ImageUnreadable(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"TIFF with separate planes of {BITS} bits cannot be read here. Convert it, for "
            "example to JPEG.",
        )
    order = "B" if image.tag_v2.prefix == b"MM" else "L"
    tiles = []
    for tile in image.tile:
        assert isinstance(tile.args, tuple)  # noqa: S101 - those of the raw codec are
        plane, *rest = tile.args
        plane = image.mode if image.mode in GREY else f"{plane};{BITS}{order}"
        tiles.append(tile._replace(args=(plane, *rest)))
    image.tile = tiles


def correct_grey(image: TiffImageFile, rgb: Image.Image) -> Image.Image:
    """Return the RGB of a loaded file, inverted if Pillow has read its negative."""
    negative = image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == WHITE_IS_ZERO
    return ImageOps.invert(rgb) if negative and image.mode[0] in "IF" else rgb
