"""Make a small copy of a photo while its pixels are in memory."""

import io

from PIL import Image

FORMAT, MEDIA_TYPE = "JPEG", "image/jpeg"
"""WebP takes a seventh fewer bytes and eight times as long: 2 ms a photo."""
QUALITY = 70


def make_thumbnail(image: Image.Image, side: int) -> bytes:
    """Return an upright image as JPEG, with a long side of about `side` pixels.

    It is reduced by a whole factor, in a third of the time that resampling takes.
    """
    small = image.reduce(max(1, round(max(image.size) / side)))
    file = io.BytesIO()
    small.save(file, FORMAT, quality=QUALITY)
    return file.getvalue()
