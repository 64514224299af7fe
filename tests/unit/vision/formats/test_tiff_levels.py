"""TIFF files of 16 bits that Pillow alone misreads."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from facetag.errors import ErrorCode, ImageUnreadable
from facetag.library.photo_items import to_pixels
from facetag.vision.image_decoder import decode_image

HEIGHT, WIDTH = 24, 32
RAMP = np.linspace(0, 255, HEIGHT * WIDTH).astype(np.uint8).reshape(HEIGHT, WIDTH)
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1], np.full_like(RAMP, 255)])
GREY = 1
RGB = 2
CMYK = 5


def tiff(planes, photometric, *, order="<", alpha=False, rows=HEIGHT, arrangement=2):
    """Return an uncompressed file of 16 bits, its planes separate, in strips of some rows."""
    count = len(planes)
    levels = planes.astype(np.uint16) * 257
    strips = [
        plane[start : start + rows].astype(f"{order}u2").tobytes()
        for plane in levels
        for start in range(0, HEIGHT, rows)
    ]
    tags = {
        256: [WIDTH],
        257: [HEIGHT],
        258: [16] * count,
        259: [1],
        262: [photometric],
        273: [0] * len(strips),
        277: [count],
        278: [rows],
        279: [len(strip) for strip in strips],
        284: [arrangement],
    }
    if alpha:
        tags[338] = [2]
    start = 8 + 2 + 12 * len(tags) + 4
    extra = sum(4 * len(values) for values in tags.values() if len(values) > 1)
    places = np.cumsum([start + extra, *tags[279]])[:-1].tolist()
    tags[273] = places
    entries, behind = b"", b""
    for tag, values in sorted(tags.items()):
        kind, packed = 4, struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            place, behind = start + len(behind), behind + packed
            packed = struct.pack(f"{order}I", place)
        entries += struct.pack(f"{order}HHI", tag, kind, len(values)) + packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return head + directory + behind + b"".join(strips)


def decode(data):
    return decode_image(data, formats=("TIFF",), max_pixels=10**6)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("rows", [HEIGHT, 8])
@pytest.mark.parametrize("colours", [3, 4])
def test_separate_planes_of_16_bits_are_read(order, rows, colours):
    data = tiff(COLOURS[:colours], RGB, order=order, rows=rows, alpha=colours == 4)
    expected = np.moveaxis(COLOURS[:3], 0, -1)
    assert np.array_equal(decode(data), expected)
    assert np.array_equal(to_pixels(Image.open(io.BytesIO(data)), 10**6), expected)


def test_planes_that_no_decoder_reads_are_named():
    with pytest.raises(ImageUnreadable, match="separate planes of 16 bits") as caught:
        decode(tiff(COLOURS, CMYK))
    assert caught.value.code is ErrorCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("arrangement", [1, 2])
@pytest.mark.parametrize(("photometric", "expected"), [(GREY, RAMP), (0, 255 - RAMP)])
def test_grey_that_is_white_at_zero_is_no_negative(photometric, expected, arrangement):
    data = tiff(RAMP[None], photometric, arrangement=arrangement)
    assert np.array_equal(decode(data), np.repeat(expected[..., None], 3, axis=2))
