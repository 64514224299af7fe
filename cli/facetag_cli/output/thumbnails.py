"""Make thumbnails of some photos for the report, as data URIs of bounded total size."""

import base64
import io
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from facetag.client.api_client import Line

if TYPE_CHECKING:
    from PIL import Image

MAX_THUMBNAILS = 60
MAX_BYTES = 3 * 2**20
"""The most bytes of all thumbnails together, before base64 adds a third."""
LONG_SIDE = 360
QUALITY = 78
MAX_PIXELS = 120_000_000


FindPhoto = Callable[[str], Path | BinaryIO | None]
"""Returns a photo on this machine by its name, as a path or a stream, or None."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A thumbnail of a photo; the boxes in `line` are in pixels of the photo itself."""

    line: Line
    uri: str


class PhotoSample:
    """A uniform random sample of at most `size` photos with faces."""

    def __init__(self, size: int = MAX_THUMBNAILS) -> None:
        self._size = size
        self._offered = 0
        self._kept: list[tuple[int, Line]] = []
        # A fixed seed, so that the same collection gives the same page.
        self._random = random.Random(0)

    def offer(self, line: Line) -> None:
        """Offer a line to the sample if its photo has faces (reservoir sampling)."""
        if not line["faces"]:
            return
        self._offered += 1
        if len(self._kept) < self._size:
            self._kept.append((self._offered, line))
        elif (place := self._random.randrange(self._offered)) < self._size:
            self._kept[place] = (self._offered, line)

    def lines(self) -> list[Line]:
        """Return the sampled lines in the order in which they were offered."""
        return [line for _, line in sorted(self._kept, key=lambda kept: kept[0])]


def make_thumbnails(
    lines: Iterable[Line], find_photo: FindPhoto, *, max_bytes: int = MAX_BYTES
) -> list[Thumbnail]:
    """Return thumbnails of the photos on this machine, up to `max_bytes` in total."""
    thumbnails: list[Thumbnail] = []
    left = max_bytes
    for line in lines:
        photo = find_photo(line["image"])
        data = None if photo is None else shrink(photo)
        if data is None:
            continue
        left -= len(data)
        if left < 0:
            break
        uri = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
        thumbnails.append(Thumbnail(line, uri))
    return thumbnails


def shrink(photo: Path | BinaryIO) -> bytes | None:
    """Return the photo upright and small, as JPEG; None if it cannot be read any more."""
    from PIL import Image, ImageOps

    _know_heif()
    try:
        with Image.open(photo) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            # Decodes a JPEG at a fraction of its size: twelve megapixels take some milliseconds.
            image.draft("RGB", (2 * LONG_SIDE, 2 * LONG_SIDE))
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((LONG_SIDE, LONG_SIDE))
            out = io.BytesIO()
            _without_alpha(upright).save(out, "JPEG", quality=QUALITY, optimize=True)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        # The photo was deleted or changed since it was labelled; the page omits it.
        return None
    return out.getvalue()


def _without_alpha(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _know_heif() -> None:
    try:
        import pillow_heif
    except ModuleNotFoundError:
        return
    pillow_heif.register_heif_opener()
