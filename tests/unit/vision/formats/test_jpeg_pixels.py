"""A JPEG that lacks its last bytes is read, and one with damage that libjpeg notices is not."""

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.samples import load_photo
from facetag.errors import ErrorCode, ImageUnreadable
from facetag.vision.formats.jpeg_scans import brings_all, list_scans
from facetag.vision.image_decoder import decode_image, decode_picture

PHOTO = load_photo("astronaut.png")
LIMITS = {"formats": ("JPEG", "MPO"), "max_pixels": 10**7}
KINDS = {
    "baseline": {},
    "without subsampling": {"subsampling": 0},
    "progressive": {"progressive": True},
    "with restarts": {"restart_marker_rows": 1},
}
END = b"\xff\xd9"


def encode(image=PHOTO, form="JPEG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def find_end(data):
    """Return the code of a file, or whether it is incomplete: the same at every scale."""
    ends = set()
    for side in (64, 200, 512):
        try:
            ends.add(decode_picture(data, **LIMITS, copy_side=side).incomplete)
        except ImageUnreadable as error:
            ends.add(error.code)
    (end,) = ends
    return end


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_that_lacks_only_its_last_bytes_is_read_and_marked(kind, mode):
    image = PHOTO.convert(mode)
    data = encode(image, **KINDS[kind])
    assert find_end(data) is False
    for lacking in (1, 2, 3, 40, 400):
        assert find_end(data[:-lacking]) is True
        pixels = decode_image(data[:-lacking], **LIMITS)
        rows = pixels.shape[0] * 9 // 10
        assert np.array_equal(pixels[:rows], decode_image(data, **LIMITS)[:rows])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.75])
def test_a_jpeg_that_lacks_more_is_truncated(kind, share):
    data = encode(**KINDS[kind])
    assert find_end(data[: int(share * len(data))]) == ErrorCode.TRUNCATED


def test_a_lacking_second_image_of_a_pair_does_not_matter():
    assert find_end(encode(form="MPO", save_all=True, append_images=[PHOTO])[:-500]) is False


@pytest.mark.parametrize("kind", [*KINDS, "CMYK"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.9])
@pytest.mark.parametrize("more", [0, 10**6], ids=["as long as before", "longer"])
@pytest.mark.parametrize("end", [b"", END], ids=["open", "ended"])
def test_zeros_in_place_of_the_rest_are_no_padding(kind, share, more, end):
    # So a copy that broke off looks, or a file on a disk that lost power.
    image = PHOTO.convert("CMYK") if kind == "CMYK" else PHOTO
    data = encode(image, quality=95, **KINDS.get(kind, {}))
    there = int(share * len(data))
    filled = data[:there] + bytes(len(data) - there + more) + end
    assert find_end(filled) in (ErrorCode.TRUNCATED, ErrorCode.DECODE_ERROR)


def test_zeros_in_place_of_whole_scans_are_no_padding():
    data = encode(progressive=True)
    between = data.index(b"\xff\xc4", len(data) // 4)
    assert find_end(data[:between] + bytes(len(data) - between) + END) == ErrorCode.DECODE_ERROR


def test_the_scans_of_an_arithmetic_file_are_counted_too():
    data = encode(progressive=True).replace(b"\xff\xc2", b"\xff\xca", 1)
    assert brings_all(data, list_scans(data))


def test_a_file_that_lacks_little_may_end_in_zeros():
    data = encode()
    ends = decode_image(data[:-40], **LIMITS)
    for zeros in (1, 40, 5000):
        filled = data[:-40] + bytes(zeros)
        assert find_end(filled) is True
        assert np.array_equal(decode_image(filled, **LIMITS), ends)


def test_other_data_in_place_of_the_rest_is_seen_if_it_is_too_long():
    data = encode(quality=95)
    filled = data[: len(data) // 3] + b"<p>The server is busy.</p>" * 9000
    assert find_end(filled) == ErrorCode.DECODE_ERROR


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", ["zeros", "removed"])
def test_a_jpeg_with_a_hole_is_damaged(kind, damage):
    data = encode(**KINDS[kind])
    hole = slice(len(data) // 2, len(data) // 2 + 400)
    filling = bytes(400) if damage == "zeros" else b""
    assert find_end(data[: hole.start] + filling + data[hole.stop :]) == ErrorCode.DECODE_ERROR


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
@pytest.mark.parametrize("fault", ["stray bytes", "JFIF 2"])
def test_a_harmless_fault_in_the_header_does_not_hide_damage_behind_it(mode, fault):
    data = encode(PHOTO.convert(mode))
    tables = data.index(b"\xff\xdb")
    strange = {
        "stray bytes": data[:tables] + b"abc" + data[tables:],
        "JFIF 2": data.replace(b"JFIF\0\1", b"JFIF\0\2"),
    }[fault]
    middle = len(strange) // 2
    damaged = strange[:middle] + bytes(400) + strange[middle + 400 :]
    assert np.array_equal(decode_image(strange, **LIMITS), decode_image(data, **LIMITS))
    assert find_end(strange) is False
    assert find_end(strange[:-2]) is True
    assert find_end(damaged) == ErrorCode.DECODE_ERROR


def test_cmyk_is_checked_as_well():
    data = encode(PHOTO.convert("CMYK"))
    middle = len(data) // 2
    assert find_end(data) is False
    assert find_end(data[:-2]) is True
    assert find_end(data[:middle] + bytes(400) + data[middle + 400 :]) == ErrorCode.DECODE_ERROR


@pytest.mark.parametrize(
    "unusual",
    [
        lambda data: data[:-2] + bytes(600) + END,
        lambda data: data[:-2] + bytes(600) + END + b"a film" + data,
        lambda data: data + b"a trailer of the camera",
        lambda data: data[:20] + bytes(3) + data[20:],
    ],
)
def test_what_cameras_add_is_no_damage(unusual):
    data = encode()
    assert find_end(unusual(data)) is False
    assert np.array_equal(decode_image(unusual(data), **LIMITS), decode_image(data, **LIMITS))


@pytest.mark.parametrize("kind", KINDS)
def test_the_pixels_are_those_of_pillow(kind):
    for image in (PHOTO, PHOTO.crop((0, 0, 501, 333))):
        data = encode(image, **KINDS[kind])
        with Image.open(io.BytesIO(data)) as opened:
            assert np.array_equal(decode_image(data, **LIMITS), np.asarray(opened))
        for factor in (2, 4, 8):
            with Image.open(io.BytesIO(data)) as opened:
                opened.draft(None, (image.width // factor, image.height // factor))
                expected = np.asarray(opened)
            side = max(image.size) // factor
            picture = decode_picture(data, **LIMITS, copy_side=side)
            assert np.array_equal(picture.decoded, expected)
