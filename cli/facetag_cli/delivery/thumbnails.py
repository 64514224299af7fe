"""Make thumbnails of photos for the report, as data URIs of bounded total size."""

import base64
import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from facetag.client.api_client import Line
from facetag.results.collection_counts import Composition, cell_of

if TYPE_CHECKING:
    from PIL import Image

MAX_LISTED = 20_000
"""The most photos that a report lists."""
MAX_THUMBNAILS = 1_000
MAX_BYTES = 12 * 2**20
"""The most bytes of all thumbnails together, before base64 adds a third."""
LONG_SIDE = 360
MANY, LONG_SIDE_OF_MANY = 200, 240
"""With more photos than MANY, thumbnails are smaller."""
QUALITY = 78
MAX_PIXELS = 120_000_000


FindPhoto = Callable[[str], Path | BinaryIO | None]
"""Returns a photo on this machine by its name, as a path or a stream, or None."""


class PhotoSample:
    """A uniform random sample of at most `size` photos."""

    def __init__(self, size: int = MAX_LISTED) -> None:
        self._size = size
        self._offered = 0
        self._kept: list[tuple[int, Line]] = []
        # A fixed seed, so that the same collection gives the same page.
        self._random = random.Random(0)

    def offer(self, line: Line) -> None:
        """Offer a line to the sample (reservoir sampling)."""
        self._offered += 1
        if len(self._kept) < self._size:
            self._kept.append((self._offered, line))
        elif (place := self._random.randrange(self._offered)) < self._size:
            self._kept[place] = (self._offered, line)

    def lines(self) -> list[Line]:
        """Return the sampled lines in the order in which they were offered."""
        return [line for _, line in sorted(self._kept, key=lambda kept: kept[0])]


def make_thumbnails(
    lines: Sequence[Line],
    composition: Composition,
    find_photo: FindPhoto,
    *,
    max_bytes: int = MAX_BYTES,
) -> dict[int, str]:
    """Return data URIs of thumbnails by the place in `lines`, up to `max_bytes` in total.

    Photos with faces of the rarest groups come first, then those with uncertain labels. Photos that
    are not on this machine are left out.
    """
    readable = [place for place, line in enumerate(lines) if line["width"]]
    readable.sort(key=lambda place: _urgency(lines[place], composition))
    side = LONG_SIDE if len(readable) <= MANY else LONG_SIDE_OF_MANY
    thumbnails: dict[int, str] = {}
    left = max_bytes
    for place in readable:
        photo = find_photo(lines[place]["image"])
        data = None if photo is None else shrink(photo, side)
        if data is None:
            continue
        left -= len(data)
        if left < 0 or len(thumbnails) == MAX_THUMBNAILS:
            break
        thumbnails[place] = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
    return thumbnails


def _urgency(line: Line, composition: Composition) -> tuple[bool, int, int]:
    faces = line["faces"]
    rarest = min((composition.cells[cell_of(face)] for face in faces), default=0)
    return not faces, rarest, -sum(bool(face.get("uncertain")) for face in faces)


def shrink(photo: Path | BinaryIO, long_side: int = LONG_SIDE) -> bytes | None:
    """Return the photo upright and small, as JPEG; None if it cannot be read any more."""
    from PIL import Image, ImageOps

    _know_heif()
    # Ours is checked below; Pillow's would leave out what a phone of 200 megapixels takes.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(photo) as image:
            if image.width * image.height > MAX_PIXELS and image.format != "JPEG":
                return None
            # Decodes a JPEG at a fraction of its size: twelve megapixels take some milliseconds.
            image.draft("RGB", (2 * long_side, 2 * long_side))
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((long_side, long_side))
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
