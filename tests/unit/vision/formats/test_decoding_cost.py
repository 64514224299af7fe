import io

import numpy as np
import pytest
from PIL import Image

from facetag.vision.formats.decoding_cost import takes_long

NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8))


def encode(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def with_scans(data, number):
    """A file that repeats its last scan."""
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] * number + data[-2:]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_good_photo_needs_no_guard(progressive):
    assert not takes_long(encode(NOISE, progressive=progressive))


def test_thousands_of_scans_need_one():
    assert takes_long(with_scans(encode(NOISE, progressive=True), 4000))


@pytest.mark.parametrize("marker", [0xC2, 0xCA], ids=["Huffman", "arithmetic"])
def test_a_few_scans_of_a_huge_image_need_one(marker):
    data = bytearray(encode(NOISE, progressive=True))
    frame = data.index(b"\xff\xc2")
    data[frame + 1] = marker
    data[frame + 5 : frame + 9] = (10_000).to_bytes(2, "big") * 2
    assert takes_long(bytes(data))


def test_a_header_of_hundreds_of_segments_or_megabytes_needs_one():
    data = encode(NOISE)
    exif = b"\xff\xe1\x00\x09Exif\0\0x"
    assert not takes_long(data[:2] + exif * 100 + data[2:])
    assert takes_long(data[:2] + exif * 200 + data[2:])
    assert takes_long(data[:2] + b"\xff" * 2**23 + data[2:])
    scans = encode(NOISE, progressive=True)
    last = scans.rindex(b"\xff\xda")
    assert takes_long(scans[:last] + b"\xff\xfe\0\2" * 5000 + scans[last:])
