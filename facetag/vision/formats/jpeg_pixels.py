"""Decode JPEG files by libjpeg-turbo's warnings, which tell damage that Pillow passes over.

After damage in the middle of a file libjpeg goes on and fills what it lacks with grey. Its warnings
are the only sign. Damage that is a valid Huffman code again gives none: no decoder can know it.

TurboJPEG reads no file whose colours are sampled in an unusual way, such as 4:1:0 or 3x1. Pillow
reads those, so their damage is seen only if the file ends early.
"""

import re

import numpy as np
import numpy.typing as npt
import simplejpeg

from facetag.errors import ErrorCode, ImageUnreadable
from facetag.vision.formats.jpeg_scans import (
    brings_all,
    find_end,
    is_lossless,
    list_scans,
    without_header_faults,
)
from facetag.vision.photo import Pixels

EARLY_END = "Premature end of JPEG file"
HARMLESS = re.compile(
    r"extraneous bytes before marker 0x(e.|fe|db|c[012])"
    r"|JFIF revision|Adobe color transform|Invalid SOS param|Inconsistent progression"
)
"""Warnings about headers, which some cameras and editors cause; no pixel depends on them."""
BYTES_LEFT = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
END = b"\xff\xd9"
PADDING = b"\0"
READ_AHEAD_BYTES = 16
"""Bytes of padding at most that the decoder takes before it counts what is left over."""
LARGEST_MISSING_SHARE = 0.05
WHOLE, SMALLEST = (0, 0), (1, 1)
"""Bounds of the size that have the file decoded whole, and at an eighth."""
MANY_PIXELS = 32_000_000


def decode_jpeg(data: bytes, size: tuple[int, int]) -> tuple[Pixels, bool] | None:
    """Return the RGB pixels, and whether the last bytes of the file are missing.

    `size` (width, height) is that of the whole photo, or its half, quarter or eighth, rounded up.
    Raises ImageUnreadable: `truncated` if more than the last few rows are missing, `decode_error`
    for other damage. Returns None if the library does not read the file: Pillow may, or says why.
    """
    width, height = size
    data, pixels, warning = _decode_past_header(data, "RGB", width, height)
    if pixels is None or pixels.shape[:2] != (height, width):
        return None
    if warning != EARLY_END:
        _refuse_damage(data, warning)
        return pixels, False
    written = _refuse_early_end(data, "RGB")
    without_zeros = None if written == data else _decode(written, "RGB", width, height)[0]
    return pixels if without_zeros is None else without_zeros, True


def check_cmyk(data: bytes) -> bool:
    """Return whether the last bytes of a JPEG file in CMYK, which Pillow has read, are missing.

    Raises ImageUnreadable as `decode_jpeg` does.
    """
    data, _, warning = _decode_past_header(data, "CMYK", 1, 1)
    if warning != EARLY_END:
        _refuse_damage(data, warning)
        return False
    _refuse_early_end(data, "CMYK")
    return True


def check_part(data: bytes) -> None:
    """Raise ImageUnreadable as `decode_jpeg` does if a JPEG part of another file is damaged.

    A part that the library does not read passes.
    """
    for colours in ("GRAY", "CMYK"):
        past_header, pixels, warning = _decode_past_header(data, colours, 1, 1)
        if pixels is None:
            continue
        if warning == EARLY_END:
            _refuse_early_end(past_header, colours)
        else:
            _refuse_damage(past_header, warning)
        return


def _refuse_damage(data: bytes, warning: str | None) -> None:
    if warning is None or HARMLESS.search(warning) or _is_padding(data, warning):
        return
    raise ImageUnreadable(ErrorCode.DECODE_ERROR, f"The image data is damaged: {warning}.")


def _decode_past_header(
    data: bytes, colours: str, width: int, height: int
) -> tuple[bytes, Pixels | None, str | None]:
    """Return the file as it was decoded, its pixels and the first warning.

    The decoder gives up on a file with a harmless fault in its header, which then is left out:
    Pillow would read the file, but pass over damage in its pixels.
    """
    pixels, warning = _decode(data, colours, width, height)
    if pixels is None:
        data = without_header_faults(data)
        pixels, warning = _decode(data, colours, width, height)
    return data, pixels, warning


def _decode(data: bytes, colours: str, width: int, height: int) -> tuple[Pixels | None, str | None]:
    """Return the pixels, None if there are none, and the decoder's first warning."""
    if is_lossless(data):
        width, height = WHOLE
    options = {"colorspace": colours, "min_width": width, "min_height": height}
    try:
        return simplejpeg.decode_jpeg(data, **options), None
    except ValueError as error:
        warning = str(error)
    try:
        return simplejpeg.decode_jpeg(data, **options, strict=False), warning
    except ValueError:
        return None, None


def _is_padding(data: bytes, warning: str) -> bool:
    """Return whether the bytes left over before the end marker are zeros, as some cameras write.

    If the decoder took more zeros than it reads ahead, they lie where pixels should be. Of a
    progressive file, they may lie in place of whole scans.
    """
    left = BYTES_LEFT.search(warning)
    if left is None or not brings_all(data, list_scans(data)):
        return False
    written = data[: find_end(data)]
    zeros = len(written) - len(written.rstrip(PADDING))
    return int(left[1]) <= zeros <= int(left[1]) + READ_AHEAD_BYTES


def _refuse_early_end(data: bytes, colours: str) -> bytes:
    """Return a file without an end marker, up to the zeros that may stand for what it lacks.

    A copy that broke off may have left them. Raises ImageUnreadable if it lacks more than a few
    rows, or if what follows its pixels is something else.
    """
    written = data.rstrip(PADDING)
    pixels, warning = _decode(written + END, colours, 1, 1)
    if pixels is not None and warning is None:
        return written
    if warning is not None and BYTES_LEFT.search(warning):
        _refuse_damage(written + END, warning)
    if pixels is None or not _is_nearly_whole(written, colours):
        raise ImageUnreadable(ErrorCode.TRUNCATED, "The file ends before its image does.")
    return written


def _is_nearly_whole(data: bytes, colours: str) -> bool:
    """Return whether a file without an end marker lacks a twentieth of its pixels at most."""
    scans = list_scans(data)
    if not brings_all(data, scans):
        return False
    # What the last scan has not reached looks as it does if that scan is empty. Of a very large
    # photo, a small copy tells enough.
    height, width = simplejpeg.decode_jpeg_header(data)[:2]
    size = WHOLE if width * height <= MANY_PIXELS else SMALLEST
    pixels, _ = _decode(data, colours, *size)
    without, _ = _decode(data[: scans[-1].data_start] + END, colours, *size)
    if pixels is None or without is None:
        return False
    return _share_of_end((pixels == without).all(axis=2)) <= LARGEST_MISSING_SHARE


def _share_of_end(missing: npt.NDArray[np.bool_]) -> float:
    """Return the share of an image (height, width) that is missing in one piece up to its end."""
    backwards = missing[::-1, ::-1]
    # The length of the missing end of each row, from the bottom row up.
    ends = np.where(backwards.all(axis=1), backwards.shape[1], backwards.argmin(axis=1))
    rows = int((ends == 0).argmax()) if (ends == 0).any() else len(ends)
    return float(ends[:rows].sum() / missing.size)
