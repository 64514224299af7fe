"""Bytes to an upright RGB image, or a named reason why not."""

import io
import math
import re
import struct
import warnings
import zlib
from collections.abc import Sequence
from functools import cache

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, UnidentifiedImageError

from facetag.errors import ErrorCode, ImageUnreadable
from facetag.vision.photo import Picture, Pixels, reduce_image

DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders raise on damaged files."""

SIGNATURES = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n|RIFF....WEBP|GIF8[79]a|....ftyp(avi|hei|hev|mif|msf)", re.DOTALL
)
CUT_SHORT = ("truncated", "incomplete", "end of file")

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes an image upright, by its EXIF orientation."""
ON_THE_SIDE = (
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
)
"""Turns that swap width and height."""

JPEG_SIGNATURE = b"\xff\xd8\xff"
MUCH_PIXELS = 32_000_000
"""Above this, what is no JPEG file is decoded where memory is limited."""


def decode_image(data: bytes, *, formats: Sequence[str], max_pixels: int) -> Pixels:
    """Return the first frame, upright, as uint8 (height, width, 3).

    `formats` are Pillow's names (JPEG, MPO, PNG, ..., HEIF). Transparency is laid on white. Raises
    ImageUnreadable with the code that fits; the size is checked before any pixel is decoded.
    """
    return np.asarray(_decode(data, formats, max_pixels)[0])


def decode_picture(
    data: bytes, *, formats: Sequence[str], max_pixels: int, copy_side: int
) -> Picture:
    """Return the first frame, upright, with a copy reduced to a long side of `copy_side` pixels.

    A JPEG file is decoded reduced where the copy needs no more. Raises as `decode_image` does.
    """
    image, (width, height) = _decode(data, formats, max_pixels, copy_side)
    copy = np.asarray(reduce_image(image, copy_side))

    def decode_larger(scale: float) -> Image.Image:
        long_side = math.ceil(scale * max(width, height))
        return _decode(data, formats, max_pixels, long_side)[0]

    whole = image.size == (width, height)
    return Picture(width, height, copy, image, None if whole else decode_larger)


def _decode(
    data: bytes, formats: Sequence[str], max_pixels: int, long_side: int | None = None
) -> tuple[Image.Image, tuple[int, int]]:
    """Return an upright RGB image, loaded, and the width and height of the whole photo.

    A JPEG file is decoded reduced if that leaves its long side the pixels that are asked for.
    """
    if not data:
        raise ImageUnreadable(ErrorCode.EMPTY_FILE, "The file is empty.")
    _prepare_pillow()
    try:
        with Image.open(io.BytesIO(data)) as image:
            _check_format(image, formats)
            _check_size(image.size, max_pixels)
            whole = image.size
            if long_side is not None and image.format == "JPEG":
                _decode_reduced(image, long_side)
            reduced = image.size != whole
            turn = _find_turn(image)
            upright = _to_rgb(image if turn is None else image.transpose(turn))
            upright.load()
            if not reduced:
                whole = upright.size
            elif turn in ON_THE_SIDE:
                whole = whole[::-1]
            return upright, whole
    except Image.DecompressionBombError as error:
        raise ImageUnreadable(ErrorCode.TOO_MANY_PIXELS, f"{error}.") from error
    except DAMAGE as error:
        raise _name_damage(data, error) from error
    except MemoryError as error:
        raise ImageUnreadable(
            ErrorCode.DECODER_CRASHED, "Decoding it takes more memory than the decoder may have."
        ) from error


def takes_much_memory(data: bytes) -> bool:
    """Tell from a file's header whether decoding it may take gigabytes.

    Animations and transparency are decoded in several copies of the whole canvas, which a few
    hundred bytes can make as large as the cap allows. JPEG files are not even opened for this.
    """
    if data.startswith(JPEG_SIGNATURE):
        return False
    _prepare_pillow()
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.width * image.height > MUCH_PIXELS
    except (Image.DecompressionBombError, *DAMAGE):
        return False


@cache
def _prepare_pillow() -> None:
    """Teach Pillow HEIC, and keep it quiet about sizes: our own cap is checked from the header.

    Once a process, not around each image: filters of warnings are no thread's own.
    """
    pillow_heif.register_heif_opener()
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)


def _check_format(image: Image.Image, formats: Sequence[str]) -> None:
    if image.format not in formats:
        raise ImageUnreadable(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{image.format} is not among the accepted formats ({', '.join(formats)}).",
        )


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageUnreadable(
            ErrorCode.TOO_MANY_PIXELS,
            f"{width}x{height} is above the cap of {max_pixels} pixels (FACETAG_MAX_IMAGE_PIXELS).",
        )


def _decode_reduced(image: Image.Image, long_side: int) -> None:
    """Have libjpeg decode an eighth, a quarter or a half of the size, if that is large enough."""
    share = long_side / max(image.size)
    if share < 1:
        image.draft(None, (max(1, int(image.width * share)), max(1, int(image.height * share))))


def _find_turn(image: Image.Image) -> Image.Transpose | None:
    # Not ImageOps.exif_transpose: it copies every image, and fails where it cannot write the EXIF
    # data anew. Damaged EXIF data says nothing about the orientation, and the pixels may be whole.
    try:
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DAMAGE:
        return None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16 bits of grey: Pillow would clip them to 8 instead of scaling them.
        wide = np.asarray(image, dtype=np.float32)
        image = Image.fromarray((wide / 257.0).round().clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    # A conversion that changes nothing would copy the image.
    return image if image.mode == "RGB" else image.convert("RGB")


def _name_damage(data: bytes, error: Exception) -> ImageUnreadable:
    """Return the error that says what is wrong with data that Pillow cannot open or decode."""
    text = str(error).rstrip(".")
    if _ends_early(data) or any(words in text.lower() for words in CUT_SHORT):
        return ImageUnreadable(ErrorCode.TRUNCATED, "The file ends before its image does.")
    if not isinstance(error, UnidentifiedImageError):
        return ImageUnreadable(ErrorCode.DECODE_ERROR, f"The image data is damaged: {text}.")
    if SIGNATURES.match(data):
        return ImageUnreadable(ErrorCode.DECODE_ERROR, "The image's header is damaged.")
    return ImageUnreadable(ErrorCode.NOT_AN_IMAGE, "The file is no image of a known format.")


def _ends_early(data: bytes) -> bool:
    """Say whether the sizes that a RIFF (WebP) or ISO (AVIF, HEIC) file states pass its end."""
    if data.startswith(b"RIFF"):
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    place = 0
    if data[4:8] == b"ftyp":
        while place + 8 <= len(data):
            size = int.from_bytes(data[place : place + 4], "big")
            if size < 8:  # up to the end, or in 64 bits: nothing that a cut could be told by
                return False
            place += size
    return place > len(data)
