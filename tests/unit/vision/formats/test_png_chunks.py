"""A PNG with a flipped bit is damaged, and a PNG with long texts is whole."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from benchmarks.samples import load_photo
from facetag.errors import ErrorCode, ImageUnreadable
from facetag.vision.formats.png_chunks import check_chunks
from facetag.vision.image_decoder import decode_image, decode_picture, needs_guard

PHOTO = Image.fromarray(np.asarray(load_photo("astronaut.png").resize((160, 120))))
LONG_TEXT = b"notes " * 2_000_000
LIMITS = {"formats": ("PNG",), "max_pixels": 10**6}


def encode(image=PHOTO, **options):
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def code_of(data):
    try:
        decode_picture(data, **LIMITS, copy_side=40)
    except ImageUnreadable as error:
        return error.code
    return None


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(data, kind, body):
    """Put a chunk after the header chunk, which ends at byte 33."""
    return data[:33] + chunk(kind, body) + data[33:]


def test_one_flipped_bit_is_seen_wherever_it_is():
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "camera"
    data = encode(exif=exif, icc_profile=b"profile" * 20)
    places = random.Random(1)
    for _ in range(240):
        damaged = bytearray(data)
        place = places.randrange(8, len(data) - 12)
        damaged[place] ^= 1 << places.randrange(8)
        assert code_of(bytes(damaged)) in {ErrorCode.DECODE_ERROR, ErrorCode.TRUNCATED}, place


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"tEXt", b"iCCP"])
def test_a_long_text_or_profile_costs_nothing(kind):
    bodies = {
        b"zTXt": b"Comment\0\0" + zlib.compress(LONG_TEXT),
        b"iTXt": b"Comment\0\1\0\0\0" + zlib.compress(LONG_TEXT),
        b"tEXt": b"Comment\0" + LONG_TEXT * 6,
        b"iCCP": b"profile\0\0" + zlib.compress(LONG_TEXT),
    }
    data = with_chunk(encode(), kind, bodies[kind])
    assert np.array_equal(decode_image(data, **LIMITS), np.asarray(PHOTO))


def test_a_large_canvas_is_foreseen_behind_a_long_text():
    data = encode(Image.new("L", (6000, 6000)))
    assert needs_guard(with_chunk(data, b"zTXt", b"Comment\0\0" + zlib.compress(LONG_TEXT)))


def test_an_orientation_in_a_text_is_kept():
    text = PngInfo()
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    )
    text.add_itxt("XML:com.adobe.xmp", xmp)
    text.add_text("Comment", "a holiday")
    assert decode_image(encode(pnginfo=text), **LIMITS).shape == (160, 120, 3)


def test_damage_after_the_pixels_costs_nothing():
    data = encode()
    later = data[:-12] + b"\0\0\0\x02tEXtab\0\0\0\0" + data[-12:]
    assert np.array_equal(decode_image(later, **LIMITS), np.asarray(PHOTO))


def test_what_needs_no_change_is_not_copied():
    data = encode()
    assert check_chunks(data) is data
