"""Decode a file's bytes to an upright RGB image, or raise an error that names the reason."""

import io
import math
import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Literal

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageCms, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile

from facetag.errors import ErrorCode, ImageUnreadable
from facetag.image_formats import (
    BIG_TIFF_STARTS,
    FIRST_BOXES,
    GIF_START,
    JPEG_START,
    JPEG_XL_STARTS,
    PNG_START,
    RIFF_START,
    START_BYTES,
    TIFF,
    TIFF_STARTS,
    is_image,
)
from facetag.vision.formats import jpeg_xl_size, png_chunks
from facetag.vision.formats.decoding_cost import takes_long
from facetag.vision.formats.format_names import name_format
from facetag.vision.formats.jpeg_pixels import check_cmyk, decode_jpeg
from facetag.vision.formats.jpeg_scans import is_lossless
from facetag.vision.formats.pillow_limit import open_any_size
from facetag.vision.formats.raw_preview import RAW, is_raw, read_preview
from facetag.vision.formats.tiff_jpeg import check_jpeg_parts
from facetag.vision.formats.tiff_levels import correct_grey, correct_planes
from facetag.vision.formats.unread_kinds import name_unread_kind
from facetag.vision.photo import (
    Picture,
    Pixels,
    WholePhoto,
    copy_scale,
    reduce_by,
    reduce_image,
    reduce_to_pixels,
)

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
    Image.DecompressionBombError,
)
"""The exceptions that Pillow's decoders raise on damaged files."""

HEADER_BYTES = 65_536
"""Pillow may read the whole of a foreign file to open it, an EPS file line by line for minutes."""
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
"""The turn that makes an image upright, by its EXIF orientation."""
ON_THE_SIDE = (
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
)
"""Turns that swap width and height."""
STEPS = {
    Image.Transpose.FLIP_LEFT_RIGHT: (1, -1),
    Image.Transpose.ROTATE_180: (-1, -1),
    Image.Transpose.FLIP_TOP_BOTTOM: (-1, 1),
    Image.Transpose.TRANSPOSE: (1, 1),
    Image.Transpose.ROTATE_270: (1, -1),
    Image.Transpose.TRANSVERSE: (-1, -1),
    Image.Transpose.ROTATE_90: (-1, 1),
}
"""In which direction a turn takes rows and columns, once width and height are swapped."""

JPEG_FORMATS = ("JPEG", "MPO")
MANY_PIXELS = 32_000_000
"""Images with more pixels are decoded in a process of limited memory, unless they are JPEG files
that libjpeg reduces row by row."""

LARGE_GIF_BYTES = 2**20
FILE_TYPE_BOX, AV1 = b"ftyp", b"av01"
"""Bytes 4 to 7 of an AVIF file, and the kind of its picture."""


def decode_image(data: bytes, *, formats: Sequence[str], max_pixels: int) -> Pixels:
    """Return the first frame, upright, as uint8 (height, width, 3).

    `formats` are Pillow's names (JPEG, MPO, PNG, ..., HEIF), and RAW, whose embedded preview is
    returned. Transparent parts become white. Raises ImageUnreadable with the code of the reason.
    The size is checked before any pixel is decoded.
    """
    return decode_whole(data, formats=formats, max_pixels=max_pixels).pixels


def decode_whole(data: bytes, *, formats: Sequence[str], max_pixels: int) -> WholePhoto:
    """Return what `decode_image` returns, and whether the file lacks its last bytes."""
    decoded = _decode(data, formats, max_pixels)
    return WholePhoto(decoded.copied_pixels(), decoded.incomplete)


def decode_picture(
    data: bytes, *, formats: Sequence[str], max_pixels: int, copy_side: int
) -> Picture:
    """Return the first frame, upright, with a copy reduced to a long side of `copy_side` pixels.

    A JPEG file is decoded at a reduced size if that is enough for the copy. Another very large
    photo is reduced once it is decoded. Raises as `decode_image` does.
    """
    decoded = _decode(data, formats, max_pixels, partial(copy_scale, side=copy_side))
    if math.prod(decoded.size) > MANY_PIXELS:
        reduced = reduce_to_pixels(decoded.to_image(), MANY_PIXELS)
        decoded = replace(decoded, frame=reduced, turn=None)
    (width, height), size = decoded.whole, decoded.size
    if copy_scale(size, copy_side) < 1:
        pixels, copy = decoded.to_pixels(), np.asarray(reduce_image(decoded.to_image(), copy_side))
    else:
        pixels = copy = decoded.copied_pixels()

    def decode_larger(scale: float) -> Pixels:
        return decode_scaled(data, formats=formats, max_pixels=max_pixels, scale=scale)

    larger = None if size == (width, height) else decode_larger
    return Picture(width, height, copy, pixels, larger, decoded.incomplete)


def decode_scaled(data: bytes, *, formats: Sequence[str], max_pixels: int, scale: float) -> Pixels:
    """Return the first frame, upright, at `scale` of its size or more; raises as `decode_image`."""
    decoded = _decode(data, formats, max_pixels, lambda _: scale)
    if scale >= 1 or math.prod(decoded.size) <= MANY_PIXELS:
        return decoded.to_pixels()
    # Rounded up, so that the image is large enough for whoever asked.
    share = math.ceil(scale * decoded.whole[0]) / decoded.size[0]
    return np.asarray(reduce_by(decoded.to_image(), share))


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Hold an RGB frame, as Pillow or libjpeg decoded it, and the turn that makes it upright.

    `whole` are the width and height of the whole photo. Neither kind of frame is made of the other
    before it is needed: that takes a millisecond, and ten of a photo of 12 megapixels.
    """

    frame: Image.Image | Pixels
    turn: Image.Transpose | None
    whole: tuple[int, int]
    incomplete: bool

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright frame."""
        frame = self.frame
        width, height = frame.size if isinstance(frame, Image.Image) else frame.shape[1::-1]
        return (height, width) if self.turn in ON_THE_SIDE else (width, height)

    def to_image(self) -> Image.Image:
        """Return the upright frame as an image."""
        frame = self.frame
        image = frame if isinstance(frame, Image.Image) else Image.fromarray(frame)
        return image if self.turn is None else image.transpose(self.turn)

    def to_pixels(self) -> Pixels:
        """Return the upright frame as an array, which may be a turned view of the frame."""
        if isinstance(self.frame, Image.Image):
            return np.asarray(self.to_image())
        if self.turn is None:
            return self.frame
        down, right = STEPS[self.turn]
        pixels = self.frame.swapaxes(0, 1) if self.turn in ON_THE_SIDE else self.frame
        return pixels[::down, ::right]

    def copied_pixels(self) -> Pixels:
        """Return the upright frame as an array whose rows follow one another in memory."""
        # Pillow turns an image in a third of the time that NumPy takes.
        return self.to_pixels() if self.turn is None else np.asarray(self.to_image())


def _decode(
    data: bytes,
    formats: Sequence[str],
    max_pixels: int,
    scale_of: Callable[[tuple[int, int]], float] | None = None,
) -> _Decoded:
    """Decode a file's first frame and turn it upright.

    A JPEG file is decoded at a reduced size, of at least the share `scale_of` its width and height.
    """
    if not data:
        raise ImageUnreadable(ErrorCode.EMPTY_FILE, "The file is empty.")
    _prepare_pillow()
    if RAW in formats and is_raw(data):
        data, formats = read_preview(data), (*formats, "JPEG", "PNG")
    _check_jpeg_xl(data, formats, max_pixels)
    try:
        with _open(data, formats) as image:
            _check_format(data, image.format, formats)
            check_size(image.size, max_pixels)
            check_size(_tile_size(image), max_pixels)
            whole = image.size
            if scale_of is not None and image.format == "JPEG" and not is_lossless(data):
                _decode_reduced(image, scale_of(image.size))
            reduced = image.size != whole
            # Reading EXIF data may load the pixels too, and there an error means another thing.
            frame, incomplete = _load(image, data)
            decoded = _Decoded(frame, _find_turn(image), whole, incomplete)
            if not reduced:
                return replace(decoded, whole=decoded.size)
            return replace(decoded, whole=whole[::-1]) if decoded.turn in ON_THE_SIDE else decoded
    except DAMAGE as error:
        raise _name_damage(data, error, formats) from error
    except MemoryError as error:
        raise ImageUnreadable(
            ErrorCode.DECODER_CRASHED, "Decoding takes more memory than the decoder may use."
        ) from error


def needs_guard(data: bytes) -> bool:
    """Return whether decoding a file may take gigabytes or many seconds, as its headers tell.

    Decoding an animation or transparency takes several copies of the whole canvas, and a few
    hundred bytes can state a canvas as large as the cap allows. A JPEG file may state thousands of
    scans. It is decoded row by row and reduced, unless it is progressive. A JPEG XL file is decoded
    as soon as it is opened, and LibRaw has many parsers. The tiles of a small TIFF file may take
    gigabytes, or be a hundred thousand. Millions of comments in a GIF file take gigabytes when it
    is opened. An AVIF file may hold a picture that is far larger than it states. A program that
    labels may have told Pillow to pass over missing ends, which a process of our own has not.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES and not data.startswith(JPEG_START):
        return True
    if data[4:8] == FILE_TYPE_BOX and AV1 in data:
        return True
    if data.startswith((*JPEG_XL_STARTS, *TIFF_STARTS, *BIG_TIFF_STARTS)) or is_raw(data):
        return True
    if data.startswith(JPEG_START) and takes_long(data):
        return True
    if data.startswith(PNG_START) and png_chunks.has_many_chunks(data):
        return True
    if data.startswith(GIF_START) and len(data) > LARGE_GIF_BYTES:
        return True
    _prepare_pillow()
    try:
        with _open(data) as image:
            by_rows = image.format == "JPEG" and not image.info.get("progressive")
            return image.width * image.height > MANY_PIXELS and not by_rows
    except (ImageUnreadable, *DAMAGE):
        return False


def _open(data: bytes, formats: Sequence[str] = ()) -> Image.Image:
    """Open a file; of one in a foreign format that is not among `formats`, only the header."""
    if data.startswith(PNG_START):
        data = png_chunks.check_chunks(data)
    if is_image(data[:START_BYTES]):
        return open_any_size(io.BytesIO(data))
    try:
        image = open_any_size(io.BytesIO(data[:HEADER_BYTES]))
    except DAMAGE as error:
        raise UnidentifiedImageError(str(error)) from error
    return open_any_size(io.BytesIO(data)) if image.format in formats else image


@cache
def _prepare_pillow() -> None:
    """Register HEIC and JPEG XL with Pillow, once per process, since threads share its settings."""
    # The import registers the format. Threads of its own would leave no core to others.
    from pillow_jxl import JpegXLImagePlugin

    JpegXLImagePlugin.DECODE_THREADS = 0
    pillow_heif.register_heif_opener()
    # A file may make Pillow warn 65,000 times, each time with other words.
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _check_jpeg_xl(data: bytes, formats: Sequence[str], max_pixels: int) -> None:
    """Raise ImageUnreadable for what must not even be opened, since that decodes it."""
    if not data.startswith(JPEG_XL_STARTS):
        return
    _check_format(data, "JXL", formats)
    if (size := jpeg_xl_size.read_size(data)) is not None:
        check_size(size, max_pixels)


def _check_format(data: bytes, opened_as: str | None, formats: Sequence[str]) -> None:
    if opened_as not in formats:
        raise _unsupported(name_format(data, opened_as) or "This format", formats)


def _unsupported(name: str, formats: Sequence[str]) -> ImageUnreadable:
    return ImageUnreadable(
        ErrorCode.UNSUPPORTED_FORMAT,
        f"{name} is not among the accepted formats ({', '.join(formats)}). "
        "Convert it, for example to JPEG.",
    )


def _tile_size(image: Image.Image) -> tuple[int, int]:
    """Return the width and height of a TIFF file's tiles, which may exceed the image; else 0, 0."""
    if not isinstance(image, TiffImageFile):
        return 0, 0
    width, height = (image.tag_v2.get(tag, 0) for tag in (TILEWIDTH, TILELENGTH))
    return int(width), int(height)


def check_size(size: Sequence[int], max_pixels: int) -> None:
    """Raise ImageUnreadable for a width and height of more pixels than are accepted."""
    width, height = size
    if width * height > max_pixels:
        raise ImageUnreadable(
            ErrorCode.TOO_MANY_PIXELS,
            f"{width}x{height} is above {max_pixels:,} pixels, the limit that "
            "FACETAG_MAX_IMAGE_PIXELS sets. Reduce it, or raise the limit.",
        )


def _decode_reduced(image: Image.Image, scale: float) -> None:
    """Have libjpeg decode at an eighth, a quarter or half of the size, if that is large enough."""
    if scale < 1:
        share = math.ceil(scale * max(image.size)) / max(image.size)
        image.draft(None, (max(1, int(image.width * share)), max(1, int(image.height * share))))


def _load(image: Image.Image, data: bytes) -> tuple[Image.Image | Pixels, bool]:
    """Return an opened image in RGB, with its pixels, and whether it is incomplete."""
    is_jpeg = image.format in JPEG_FORMATS
    if is_jpeg and image.mode in ("L", "RGB"):
        decoded = decode_jpeg(data, image.size)
        if decoded is not None:
            return decoded
    rgb = _load_rgb(image)
    if isinstance(image, TiffImageFile):
        check_jpeg_parts(image.tag_v2, data)
    return rgb, is_jpeg and image.mode == "CMYK" and check_cmyk(data)


def _load_rgb(image: Image.Image) -> Image.Image:
    if not isinstance(image, TiffImageFile):
        image.load()
        return to_rgb(image)
    correct_planes(image)
    image.load()
    return correct_grey(image, to_rgb(image))


def _find_turn(image: Image.Image) -> Image.Transpose | None:
    # ImageOps.exif_transpose would copy every image, and it fails if it cannot rewrite the EXIF
    # data. If EXIF data is damaged, the orientation is unknown, but the pixels may be sound.
    try:
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DAMAGE:
        return None


def to_upright_rgb(image: Image.Image) -> Image.Image:
    """Return an image that Pillow has opened in RGB, upright; raises one of DAMAGE."""
    rgb, turn = _load_rgb(image), _find_turn(image)
    return rgb if turn is None else rgb.transpose(turn)


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image of any mode in RGB: 16 bits scaled, and white behind what is transparent."""
    if image.mode.startswith("I"):
        image = _scale_levels(np.asarray(image))
    elif image.mode == "F":
        # Floats are shares of the brightest value, or levels of 256.
        levels = np.nan_to_num(np.asarray(image))
        levels = levels * 255.0 if levels.max(initial=0.0) <= 1.0 else levels
        image = Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))
    elif image.mode == "LAB":
        image = _lab_to_rgb(image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    # Converting an RGB image to RGB would copy it.
    return image if image.mode == "RGB" else image.convert("RGB")


def _scale_levels(levels: np.ndarray) -> Image.Image:
    """Return grey of 16 or 32 bits in 8 bits: Pillow would clip it instead."""
    brightest = 65_535
    if levels.min(initial=0) < 0 or levels.max(initial=0) > brightest:
        # Pillow reads 32 bits without a sign as if they had one.
        levels, brightest = levels.astype(np.int32).view(np.uint32), 2**32 - 1
    shares = levels.astype(np.float32) * (255.0 / brightest)
    return Image.fromarray(shares.round().clip(0, 255).astype(np.uint8))


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    turned = ImageCms.applyTransform(image, ImageCms.buildTransform(lab, rgb, "LAB", "RGB"))
    assert turned is not None  # noqa: S101 - only a transformation in place gives None
    return turned


def _name_damage(data: bytes, error: Exception, formats: Sequence[str]) -> ImageUnreadable:
    """Return an error that says why Pillow cannot open or decode this data."""
    text = str(error).rstrip(".")
    kind = name_unread_kind(data)
    if kind is not None:
        return ImageUnreadable(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{kind} cannot be read here. Convert it, for example to JPEG.",
        )
    foreign = name_format(data) if isinstance(error, UnidentifiedImageError) else None
    if foreign is not None and not (foreign == TIFF and "TIFF" in formats):
        return _unsupported(foreign, formats)
    if _ends_early(data) or any(words in text.lower() for words in CUT_SHORT):
        return ImageUnreadable(ErrorCode.TRUNCATED, "The file ends before its image does.")
    if data.startswith(JPEG_XL_STARTS):
        return ImageUnreadable(ErrorCode.DECODE_ERROR, "The image data is damaged or ends early.")
    if not isinstance(error, UnidentifiedImageError):
        return ImageUnreadable(ErrorCode.DECODE_ERROR, f"The image data is damaged: {text}.")
    if is_image(data[:START_BYTES]):
        return ImageUnreadable(ErrorCode.DECODE_ERROR, "The image's header is damaged.")
    return ImageUnreadable(ErrorCode.NOT_AN_IMAGE, "The file is not an image of a known format.")


def _ends_early(data: bytes) -> bool:
    """Return whether a file of chunks (WebP), boxes or directories (TIFF) states that it is longer
    than it is.
    """
    if data.startswith(TIFF_STARTS):
        order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
        return int.from_bytes(data[4:8], order) >= len(data)
    if data.startswith(RIFF_START):
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    place = 0
    if data[4:8] in FIRST_BOXES:
        while place + 8 <= len(data):
            size = int.from_bytes(data[place : place + 4], "big")
            if size < 8:  # It reaches to the end or is given in 64 bits.
                return False
            place += size
    return place > len(data)
