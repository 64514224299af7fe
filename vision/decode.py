"""Bytes to an upright RGB image, or a named reason why not."""

import io
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pillow_heif
from PIL import Image, ImageOps, UnidentifiedImageError

from facetag.errors import ErrorCode, ImageUnreadable

Photo = npt.NDArray[np.uint8]


def decode_image(data: bytes, *, formats: Sequence[str], max_pixels: int) -> Photo:
    """Return the first frame, upright, as uint8 (height, width, 3).

    `formats` are Pillow's names (JPEG, MPO, PNG, ..., HEIF). Transparency is laid on white. Raises
    ImageUnreadable with the code that fits; the size is checked before any pixel is decoded.
    """
    if not data:
        raise ImageUnreadable(ErrorCode.EMPTY_FILE, "The file is empty.")
    pillow_heif.register_heif_opener()
    image = _open_image(data, formats)
    try:
        _check_size(image.size, max_pixels)
        return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))
    except ImageUnreadable:
        raise
    except OSError as error:
        truncated = "truncated" in str(error).lower() or "incomplete" in str(error).lower()
        code = ErrorCode.TRUNCATED if truncated else ErrorCode.DECODE_ERROR
        raise ImageUnreadable(code, f"The image data is damaged: {error}.") from error
    except Image.DecompressionBombError as error:
        raise ImageUnreadable(ErrorCode.TOO_MANY_PIXELS, str(error)) from error
    except (SyntaxError, ValueError, EOFError, IndexError, TypeError, OverflowError) as error:
        # Pillow's decoders raise all of these on damaged files.
        raise ImageUnreadable(
            ErrorCode.DECODE_ERROR, f"The image data is damaged: {error}."
        ) from error
    finally:
        image.close()


def _open_image(data: bytes, formats: Sequence[str]) -> Image.Image:
    Image.init()
    try:
        with warnings.catch_warnings():
            # Our own pixel cap is checked from the header, before decoding.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise ImageUnreadable(ErrorCode.TOO_MANY_PIXELS, str(error)) from error
    except UnidentifiedImageError as error:
        raise ImageUnreadable(
            ErrorCode.NOT_AN_IMAGE,
            "The file is no image of a known format, or its header is damaged.",
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError) as error:
        raise ImageUnreadable(
            ErrorCode.DECODE_ERROR, f"The image's header is damaged: {error}."
        ) from error
    if image.format not in formats:
        image.close()
        raise ImageUnreadable(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{image.format} is not among the accepted formats ({', '.join(formats)}).",
        )
    return image


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageUnreadable(
            ErrorCode.TOO_MANY_PIXELS,
            f"{width}x{height} is above the cap of {max_pixels} pixels (FACETAG_MAX_IMAGE_PIXELS).",
        )


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):
        # Pillow clips these to 8 bits instead of scaling them.
        wide = np.asarray(image, dtype=np.float32)
        image = Image.fromarray((wide / 257.0).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")
