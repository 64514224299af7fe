"""Damage in a TIFF file's JPEG strips is seen, and sound files of every mode pass."""

import io

import numpy as np
import pytest

from benchmarks.samples import load_photo
from facetag.errors import ErrorCode, ImageUnreadable
from facetag.vision.image_decoder import decode_image

PHOTO = load_photo("astronaut.png")
LIMITS = {"formats": ("TIFF",), "max_pixels": 10**7}
STRIP_TAG = {"strip_size": 65_536}


def encode(mode, **options):
    file = io.BytesIO()
    PHOTO.convert(mode).save(file, "TIFF", compression="jpeg", **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr", "CMYK"])
@pytest.mark.parametrize("strips", [{}, STRIP_TAG], ids=["some strips", "more"])
def test_damage_in_a_strip_is_seen(mode, strips):
    data = encode(mode, **strips)
    assert np.abs(decode_image(data, **LIMITS).astype(int).mean() - np.mean(PHOTO)) < 20
    for share in (0.3, 0.6, 0.9):
        middle = int(share * len(data))
        damaged = data[:middle] + bytes(400) + data[middle + 400 :]
        with pytest.raises(ImageUnreadable) as caught:
            decode_image(damaged, **LIMITS)
        assert caught.value.code in (ErrorCode.DECODE_ERROR, ErrorCode.TRUNCATED)
