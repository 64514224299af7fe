"""Small pictures of some photos for the report page, as data URIs with a bound on their bytes."""

import base64
import io
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facetag_cli.client.api_client import Line

if TYPE_CHECKING:
    from PIL import Image

MAX_THUMBNAILS = 60
MAX_BYTES = 3 * 2**20
"""Of all thumbnails together, before base64 adds a third."""
LONG_SIDE = 360
QUALITY = 78
MAX_PIXELS = 120_000_000


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture of a photo whose faces are in `line`; boxes are in the photo's own pixels."""

    line: Line
    uri: str


class PhotoSample:
    """An even sample of photos with faces: at most `size`, each as likely as every other."""

    def __init__(self, size: int = MAX_THUMBNAILS) -> None:
        self._size = size
        self._offered = 0
        self._kept: list[tuple[int, Line]] = []
        # The same collection gives the same page.
        self._random = random.Random(0)

    def offer(self, line: Line) -> None:
        """Take the line into the draw if its photo has faces (reservoir sampling)."""
        if not line["faces"]:
            return
        self._offered += 1
        if len(self._kept) < self._size:
            self._kept.append((self._offered, line))
        elif (place := self._random.randrange(self._offered)) < self._size:
            self._kept[place] = (self._offered, line)

    def lines(self) -> list[Line]:
        """Return the sample in the order in which its lines were offered."""
        return [line for _, line in sorted(self._kept, key=lambda kept: kept[0])]


def make_thumbnails(
    lines: Iterable[Line], find_photo: Callable[[str], Path | None], *, max_bytes: int = MAX_BYTES
) -> list[Thumbnail]:
    """Return thumbnails of the photos that lie on this machine, until `max_bytes` are used."""
    thumbnails: list[Thumbnail] = []
    left = max_bytes
    for line in lines:
        path = find_photo(line["image"])
        data = None if path is None else shrink(path)
        if data is None:
            continue
        left -= len(data)
        if left < 0:
            break
        uri = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
        thumbnails.append(Thumbnail(line, uri))
    return thumbnails


def shrink(path: Path) -> bytes | None:
    """Return the photo upright and small, as JPEG; None where it is gone or has changed."""
    from PIL import Image, ImageOps

    _know_heif()
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            # A JPEG is decoded at a fraction of its size: twelve megapixels in some milliseconds.
            image.draft("RGB", (2 * LONG_SIDE, 2 * LONG_SIDE))
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((LONG_SIDE, LONG_SIDE))
            out = io.BytesIO()
            _without_alpha(upright).save(out, "JPEG", quality=QUALITY, optimize=True)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        # The service read it some minutes ago; the page is complete without its picture.
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
