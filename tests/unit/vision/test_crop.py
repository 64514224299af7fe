"""The crop rule, and the pixels that it takes: inside, across the border and far outside."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facetag.vision import crop
from facetag.vision.crop import CropRule, Square, whole_image


def cut_square(photo, square, size):
    return crop.cut_square(Image.fromarray(photo), square, size)


def photo_of(height, width, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 8), max(2, width // 8), 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height)))


def difference(a, b):
    return np.abs(a.astype(int) - b.astype(int))


def test_the_rule_follows_the_boxs_height_alone():
    square = CropRule(side=0.9, down=0.1).square((10.0, 20.0, 50.0, 120.0))
    assert (square.x, square.y, square.side) == pytest.approx((30.0, 80.0, 90.0))


def test_a_rule_survives_its_manifest():
    rule = CropRule(side=1.01, down=-0.02)
    assert CropRule.from_json(rule.to_json()) == rule


@pytest.mark.parametrize("fields", [{"name": "eyes"}, {"padding": "black"}, {"name": None}])
def test_a_rule_of_another_name_or_padding_is_refused(fields):
    with pytest.raises(ValueError, match="unknown crop rule"):
        CropRule.from_json({**CropRule().to_json(), **fields})


@pytest.mark.parametrize("size", [17, 64, 160])
@pytest.mark.parametrize(
    "corners", [(20, 30, 120, 130), (0, 0, 128, 128), (20.25, 30.5, 61.75, 72.0)]
)
def test_a_square_inside_is_what_pillow_resizes(corners, size):
    photo = photo_of(130, 150)
    x1, y1, x2, y2 = corners
    square = Square((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1)
    expected = Image.fromarray(photo).resize(
        (size, size), Image.Resampling.BILINEAR, box=corners, reducing_gap=3.0
    )
    cut = cut_square(photo, square, size)
    assert cut.shape == (size, size, 3)
    assert cut.dtype == np.uint8
    # Pillow looks beyond its box where it reduces; our part ends there.
    assert difference(cut, np.asarray(expected))[1:-1, 1:-1].max() <= 4
    assert difference(cut, np.asarray(expected)).mean() < 1


def test_a_square_as_large_as_the_photo_is_the_photo():
    photo = photo_of(48, 48)
    assert np.array_equal(cut_square(photo, whole_image(photo), 48), photo)


def test_what_lies_outside_repeats_the_edge():
    photo = photo_of(40, 60)
    cut = cut_square(photo, Square(0.0, 20.0, 40.0), 40)
    assert np.array_equal(cut[:, 20:], photo[:, :20])
    assert np.array_equal(cut[:, :20], np.repeat(photo[:, :1], 20, axis=1))
    cut = cut_square(photo, Square(60.0, 40.0, 20.0), 20)
    assert np.array_equal(cut[:10, :10], photo[30:, 50:])
    assert np.array_equal(cut[10:, 10:], np.broadcast_to(photo[-1, -1], (10, 10, 3)))


@pytest.mark.parametrize(
    ("x", "y", "pixel"),
    [(-500, 20, (20, 0)), (900, 20, (20, -1)), (30, -300, (0, 30)), (30, 700, (-1, 30))],
)
def test_a_square_wholly_outside_repeats_the_nearest_edge(x, y, pixel):
    photo = photo_of(40, 60)
    cut = cut_square(photo, Square(x + 0.5, y + 0.5, 1.0), 8)
    assert np.array_equal(cut, np.broadcast_to(photo[pixel], (8, 8, 3)))


@pytest.mark.parametrize("offset", [0, 1, -1])
@pytest.mark.parametrize("edge", ["left", "top", "right", "bottom"])
def test_a_pixel_more_or_less_at_the_border_shifts_the_content_by_one(edge, offset):
    photo = photo_of(50, 50)
    x, y = {"left": (10, 25), "right": (40, 25), "top": (25, 10), "bottom": (25, 40)}[edge]
    x, y = (x + offset, y) if edge in ("left", "right") else (x, y + offset)
    padded = np.pad(photo, ((5, 5), (5, 5), (0, 0)), mode="edge")
    expected = padded[y - 10 + 5 : y + 10 + 5, x - 10 + 5 : x + 10 + 5]
    assert np.array_equal(cut_square(photo, Square(float(x), float(y), 20.0), 20), expected)


@pytest.mark.parametrize(
    "square",
    [Square(60, 50, 80), Square(20.5, 30.25, 64), Square(5, 5, 40), Square(110.3, 95.7, 48.6)],
)
def test_the_centre_of_a_grown_square_is_the_square_itself(square):
    photo = photo_of(100, 120, seed=4)
    canvas = cut_square(photo, square.grown(1.25), 80)
    assert difference(canvas[8:72, 8:72], cut_square(photo, square, 64)).mean() < 2.5


@pytest.mark.parametrize("side", [1e-3, 0.2, 1.0, 3.0])
def test_a_tiny_square_has_the_colour_at_its_place(side):
    photo = photo_of(30, 30)
    cut = cut_square(photo, Square(12.5, 7.5, side), 5)
    assert cut.shape == (5, 5, 3)
    assert difference(cut[2, 2], photo[7, 12]).max() <= 1


def test_a_huge_square_is_cut_from_a_reduced_photo_with_the_same_content():
    photo = photo_of(900, 1300, seed=5)
    square = Square(600.0, 500.0, 3.0 * crop.LARGEST_SIDE)
    plain = Image.fromarray(np.pad(photo, ((2572, 2672), (2472, 2372), (0, 0)), mode="edge"))
    expected = np.asarray(plain.resize((96, 96), Image.Resampling.BILINEAR, reducing_gap=3.0))
    assert plain.size == (6144, 6144)
    assert difference(cut_square(photo, square, 96), expected).mean() < 3


def test_a_square_of_a_million_pixels_takes_no_memory_to_speak_of():
    photo = photo_of(20, 20)
    cut = cut_square(photo, Square(10.0, 10.0, 1e6), 16)
    assert cut.min() >= photo.min()
    assert cut.max() <= photo.max()


def test_a_strip_is_taken_whole():
    photo = photo_of(20, 20_000)
    cut = cut_square(photo, whole_image(photo), 32)
    assert cut.shape == (32, 32, 3)


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(-200, 200),
    st.floats(-200, 200),
    st.floats(1e-3, 300),
    st.integers(1, 24),
)
def test_every_square_of_every_photo_can_be_cut(height, width, x, y, side, size):
    flat = np.full((height, width, 3), (10, 120, 250), np.uint8)
    cut = cut_square(flat, Square(x, y, side), size)
    assert cut.shape == (size, size, 3)
    assert (cut == (10, 120, 250)).all()


def test_a_square_is_scaled_with_its_photo():
    assert Square(10, 20, 8).scaled(0.5) == Square(5, 10, 4)
