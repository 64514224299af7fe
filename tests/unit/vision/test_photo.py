"""Reduced decoding of JPEG files: upright, large enough, and with the faces where they are."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image

from facetag.errors import ErrorCode, ImageUnreadable
from facetag.vision.image_decoder import decode_image, decode_picture
from facetag.vision.photo import (
    LARGEST_WORKING_SIDE,
    copy_scale,
    reduce_to,
    reduce_whole,
    whole_picture,
)

FORMATS = ("JPEG", "PNG")
QUADRANTS = np.kron(
    np.array([[[200, 30, 30], [30, 200, 30]], [[30, 30, 200], [220, 220, 60]]], np.uint8),
    np.ones((300, 400, 1), np.uint8),
)


def encode(pixels, form="JPEG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def read(data, copy_side=100):
    return decode_picture(data, formats=FORMATS, max_pixels=10**7, copy_side=copy_side)


def centres(photo):
    height, width = photo.shape[:2]
    places = [(1, 1), (1, 3), (3, 1), (3, 3)]
    return np.array([photo[height * y // 4, width * x // 4].astype(int) for y, x in places])


@pytest.mark.parametrize(
    ("copy_side", "decoded"), [(800, 800), (401, 800), (400, 400), (150, 200), (100, 100), (7, 100)]
)
def test_a_jpeg_is_decoded_as_small_as_its_copy_allows(copy_side, decoded):
    picture = read(encode(QUADRANTS), copy_side)
    assert (picture.width, picture.height) == (800, 600)
    assert max(picture.decoded.shape) == decoded
    assert picture.pixels_held == picture.decoded.shape[0] * picture.decoded.shape[1]
    assert max(picture.copy.shape) == copy_side
    assert np.abs(centres(picture.copy) - centres(QUADRANTS)).max() < 25


@pytest.mark.parametrize(
    ("scale", "width"), [(0.1, 100), (0.125, 100), (0.2, 200), (0.5, 400), (0.51, 800), (3.0, 800)]
)
def test_more_of_a_reduced_jpeg_is_decoded_where_it_is_asked_for(scale, width):
    larger = np.asarray(read(encode(QUADRANTS)).at_least(scale))
    assert larger.shape == (width * 3 // 4, width, 3)
    assert np.abs(centres(larger) - centres(QUADRANTS)).max() < 25


def test_what_is_whole_is_not_decoded_twice():
    picture = read(encode(QUADRANTS, "PNG"))
    assert picture.at_least(1) is picture.decoded
    assert picture.decoded.shape == QUADRANTS.shape


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_photo_is_upright_and_knows_its_upright_size(orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encode(QUADRANTS, exif=exif)
    whole = decode_image(data, formats=FORMATS, max_pixels=10**7)
    picture = read(data)
    assert (picture.height, picture.width) == whole.shape[:2]
    assert np.abs(centres(picture.copy) - centres(whole)).max() < 25
    assert np.abs(centres(np.asarray(picture.at_least(0.5))) - centres(whole)).max() < 25


def test_the_cap_is_on_the_size_of_the_photo_not_of_what_is_decoded():
    with pytest.raises(ImageUnreadable) as caught:
        decode_picture(encode(QUADRANTS), formats=FORMATS, max_pixels=479_999, copy_side=10)
    assert caught.value.code == ErrorCode.TOO_MANY_PIXELS


def test_a_file_that_ends_early_is_truncated_at_every_scale():
    noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8)
    data = encode(noise)
    with pytest.raises(ImageUnreadable) as caught:
        read(data[: len(data) // 2], copy_side=50)
    assert caught.value.code == ErrorCode.TRUNCATED


def test_a_photo_is_never_enlarged():
    small = QUADRANTS[::10, ::10]
    assert reduce_to(small, 1000) is small
    assert whole_picture(small, 1000).copy is small


def test_what_is_hardly_larger_than_a_copy_is_not_reduced():
    assert reduce_to(np.zeros((825, 1100, 3), np.uint8), 1000).shape == (825, 1100, 3)
    assert reduce_to(np.zeros((826, 1101, 3), np.uint8), 1000).shape == (750, 1000, 3)
    halved = encode(np.zeros((756 * 2, 1008 * 2, 3), np.uint8))
    assert read(halved, copy_side=1000).copy.shape == (756, 1008, 3)


@pytest.mark.parametrize(("height", "width"), [(20_000, 20), (20, 20_000), (1, 5000)])
def test_the_thinnest_photos_keep_a_pixel_of_their_short_side(height, width):
    copy = reduce_whole(np.zeros((height, width, 3), np.uint8), 1000)
    assert max(copy.shape[:2]) == 1000
    assert min(copy.shape[:2]) >= 1


@pytest.mark.parametrize(
    ("size", "reduced"),
    [
        ((8640, 1080), (4000, 500)),
        ((1080, 2340), (462, 1000)),
        ((800, 12_000), (500, 7500)),
        ((2000, 20), (2000, 20)),
    ],
    ids=["page", "phone's screen", "panorama", "strip"],
)
def test_long_photos_are_reduced_by_their_short_side(size, reduced):
    assert reduce_to(np.zeros((*size, 3), np.uint8), 1000).shape == (*reduced, 3)
    data = encode(np.zeros((*size, 3), np.uint8))
    # What is hardly larger stays as the file was decoded, so a copy may be a tenth larger.
    height, width = read(data, copy_side=1000).copy.shape[:2]
    assert reduced[0] <= height <= 1.1 * reduced[0]
    assert reduced[1] <= width <= 1.1 * reduced[1]


def test_no_copy_has_more_pixels_than_the_largest_one():
    height, width = 1500, 120_000
    scale = copy_scale((height, width), 1000)
    assert height * width * scale**2 == pytest.approx(LARGEST_WORKING_SIDE**2)
