"""Sound files of kinds that no decoder reads are named, and lossless JPEG files crash nothing."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from facetag.errors import ErrorCode, ImageUnreadable
from facetag.settings import Settings
from facetag.vision.formats.jpeg_scans import is_lossless
from facetag.vision.image_decoder import decode_image, decode_picture

FORMATS = Settings.model_fields["image_formats"].default
LIMITS = {"formats": FORMATS, "max_pixels": 10**7}
WIDTH, HEIGHT = 640, 480
BITS_PER_SAMPLE, COMPRESSION = 258, 259


def segment(marker, body):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def lossless_jpeg(colours=3, before=b""):
    """Make a grey photo: each pixel is as its neighbour on the left, which costs two bits."""
    frame = struct.pack(">BHHB", 8, HEIGHT, WIDTH, colours)
    table = bytes([0, 0, 2, *bytes(14), 1, 0])
    which = bytes(range(1, colours + 1))
    return b"".join(
        [
            b"\xff\xd8",
            before,
            segment(0xC3, frame + b"".join(bytes([colour, 0x11, 0]) for colour in which)),
            segment(0xC4, table),
            segment(
                0xDA,
                bytes([colours]) + b"".join(bytes([colour, 0]) for colour in which) + b"\1\0\0",
            ),
            b"\x55" * (WIDTH * HEIGHT * colours // 4),
            b"\xff\xd9",
        ]
    )


def encode(form, **options):
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "white").save(file, form, **options)
    return file.getvalue()


def set_tag(tiff, tag, value):
    """Overwrite the short value of a tag in a little-endian TIFF file."""
    place = tiff.index(struct.pack("<H", tag), int.from_bytes(tiff[4:8], "little") + 2)
    return tiff[: place + 8] + struct.pack("<H", value) + tiff[place + 10 :]


@pytest.mark.parametrize("colours", [1, 3, 4])
@pytest.mark.parametrize("before", [b"", b"\xff"])
def test_a_lossless_jpeg_is_read_whole_when_a_small_copy_is_asked_for(colours, before):
    data = lossless_jpeg(colours, before)
    for side in (40, 200, 2000):
        picture = decode_picture(data, **LIMITS, copy_side=side)
        assert (picture.width, picture.height) == (WIDTH, HEIGHT)
        if colours < 4:
            assert np.abs(picture.copy.astype(int) - 128).max() <= 1


def test_a_lossless_jpeg_that_ends_early_is_told_as_any_other():
    assert decode_picture(lossless_jpeg()[:-2], **LIMITS, copy_side=40).incomplete
    with pytest.raises(ImageUnreadable) as caught:
        decode_picture(lossless_jpeg()[:-20_000], **LIMITS, copy_side=40)
    assert caught.value.code == ErrorCode.TRUNCATED


@pytest.mark.parametrize("before", [b"", b"\xff", b"\xff\x01", b"\xff\xd0", b"abc"])
def test_nothing_before_the_frame_hides_that_it_is_lossless(before):
    assert is_lossless(lossless_jpeg(before=before))


def test_the_marker_in_other_data_does_not_make_a_file_lossless():
    plain = encode("JPEG")
    assert not is_lossless(plain[:2] + segment(0xE1, b"\xff\xc3" * 9) + plain[2:])
    assert not is_lossless(plain + b"\xff\xc3")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (encode("JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"), "JPEG of 12 bits"),
        (lossless_jpeg().replace(b"\xff\xc3\0\x11\x08", b"\xff\xc3\0\x11\x10"), "JPEG of 16 bits"),
        (lossless_jpeg().replace(b"\xff\xc3", b"\xff\xf7"), "JPEG-LS"),
        (encode("JPEG").replace(b"\xff\xc0", b"\xff\xc5"), "Hierarchical JPEG"),
        (set_tag(encode("TIFF"), COMPRESSION, 34887), "TIFF compressed by LERC"),
        (set_tag(encode("TIFF"), COMPRESSION, 50001), "TIFF compressed by WebP"),
        (set_tag(encode("TIFF"), COMPRESSION, 34721), "TIFF compressed by method 34721"),
        (
            encode("TIFF").replace(struct.pack("<3H", 8, 8, 8), struct.pack("<3H", 32, 32, 32)),
            "TIFF with pixels of this kind",
        ),
        (b"MM\0+\0\x08\0\0" + bytes(8), "BigTIFF in big-endian order"),
    ],
)
def test_a_kind_that_no_decoder_reads_is_named_not_called_damaged(data, name):
    with pytest.raises(ImageUnreadable) as caught:
        decode_image(data, **LIMITS)
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT
    assert str(caught.value).startswith(name)
    assert "Convert it" in str(caught.value)


def test_grey_of_32_bits_is_scaled_not_white():
    ramp = np.linspace(0, 2**32 - 1, 64 * 48).astype(np.uint32).reshape(48, 64)
    file = io.BytesIO()
    Image.fromarray(ramp.view(np.int32)).save(file, "TIFF")
    grey = decode_image(file.getvalue(), **LIMITS)[..., 0]
    assert np.abs(grey.astype(float) - ramp / 2**32 * 255).max() <= 1
