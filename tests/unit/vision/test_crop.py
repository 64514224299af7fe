"""The crop rule, and the pixels that it takes: inside, across the border and far outside."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facetag.vision.crop import (
    LARGEST_SIDE,
    PLACES,
    BoxCrop,
    Square,
    UprightCrop,
    cut_square,
    read_crop_rule,
    whole_image,
)
from facetag.vision.detection import Detection, as_landmarks


def photo_of(height, width, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 8), max(2, width // 8), 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height)))


def difference(a, b):
    return np.abs(a.astype(int) - b.astype(int))


def test_the_rule_follows_the_boxs_height_alone():
    face = Detection((10.0, 20.0, 50.0, 120.0), 0.9, as_landmarks(np.zeros((5, 2))))
    square = BoxCrop(side=0.9, down=0.1).square(face)
    assert (square.x, square.y, square.side) == pytest.approx((30.0, 80.0, 90.0))
    assert square.turn == 0


def face_in(square, *, noise=0.0):
    """A face whose eyes and mouth lie where they do in an upright crop of this square."""
    places = np.insert(PLACES, 2, 0.05j)
    moved = square.x + 1j * square.y + places * square.side * np.exp(1j * np.radians(square.turn))
    drawn = np.random.default_rng(1).normal(0, noise, (5, 2)) * square.side
    points = np.stack([moved.real, moved.imag], axis=1) + drawn
    return Detection((0.0, 0.0, 1.0, 1.0), 0.9, as_landmarks(points))


@pytest.mark.parametrize("turn", [0.0, 3.0, -45.0, 90.0, 179.0])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_an_upright_crop_undoes_how_a_face_is_turned_shifted_and_scaled(turn, noise):
    expected = Square(120.0, 80.0, 64.0, turn)
    found = UprightCrop().square(face_in(expected, noise=noise))
    assert (found.x, found.y, found.side) == pytest.approx((120, 80, 64), abs=1e-6 + 200 * noise)
    assert found.turn == pytest.approx(turn, abs=1e-6 + 300 * noise)


def test_a_head_seen_from_aside_keeps_its_height_and_its_turn():
    """Eyes and corners of the mouth close up, but the axis of the face stays where it is."""
    square = Square(100.0, 100.0, 80.0, 20.0)
    points = np.array(face_in(square).landmarks) @ [1, 1j]
    axis = np.exp(1j * np.radians(square.turn))
    relative = (points - 100 - 100j) / axis
    narrow = (relative.real * 0.5 + 1j * relative.imag) * axis + 100 + 100j
    aside = Detection((0, 0, 1, 1), 0.9, as_landmarks(np.stack([narrow.real, narrow.imag], axis=1)))
    found = UprightCrop().square(aside)
    assert found.turn == pytest.approx(20, abs=0.5)
    assert 0.7 * 80 < found.side < 80


@pytest.mark.parametrize("rule", [BoxCrop(side=1.01, down=-0.02), UprightCrop()])
def test_a_rule_survives_its_manifest(rule):
    assert read_crop_rule(rule.to_json()) == rule


@pytest.mark.parametrize("rule", [BoxCrop(), UprightCrop()])
@pytest.mark.parametrize("fields", [{"name": "eyes"}, {"padding": "black"}, {"name": None}])
def test_a_rule_of_another_name_or_padding_is_refused(fields, rule):
    with pytest.raises(ValueError, match="unknown crop rule"):
        read_crop_rule({**rule.to_json(), **fields})


@pytest.mark.parametrize("turn", [12.0, -30.0, 90.0, 200.0])
@pytest.mark.parametrize("scale", [1, 4])
def test_a_turned_square_is_what_a_levelled_photo_shows(turn, scale):
    photo = Image.fromarray(photo_of(160, 200)).resize((200 * scale, 160 * scale))
    level = photo.rotate(turn, Image.Resampling.BICUBIC, center=(100 * scale, 80 * scale))
    expected = cut_square(np.asarray(level), Square(100, 80, 70).scaled(scale), 64)
    cut = cut_square(np.asarray(photo), Square(100, 80, 70, turn).scaled(scale), 64)
    assert cut.shape == (64, 64, 3)
    assert cut.dtype == np.uint8
    assert difference(cut, expected).mean() < 4


def test_a_square_turned_by_next_to_nothing_is_one_that_is_not_turned():
    photo = photo_of(60, 80)
    for square in (Square(40, 30, 50), Square(5, 50, 44.5), Square(300, 10, 30)):
        turned = Square(square.x, square.y, square.side, 1e-9)
        cut = cut_square(photo, turned, 48)
        assert difference(cut, cut_square(photo, square, 48)).mean() < 3


def test_what_lies_outside_a_turned_square_repeats_the_edge():
    photo = photo_of(40, 60)
    cut = cut_square(photo, Square(0.0, 20.0, 40.0, 90.0), 40)
    # A quarter turn: what was at the left, beyond the edge, is at the bottom.
    assert np.array_equal(cut[:20], np.rot90(photo[:, :20]))
    assert np.array_equal(cut[20:], np.repeat(cut[19:20], 20, axis=0))


def test_points_are_located_in_a_square():
    square = Square(50, 40, 20, 90)
    assert square.locate(square.corners()) == pytest.approx(
        np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    )


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
    square = Square(600.0, 500.0, 3.0 * LARGEST_SIDE)
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
    st.floats(-180, 180),
)
def test_every_square_of_every_photo_can_be_cut(height, width, x, y, side, size, turn):
    flat = np.full((height, width, 3), (10, 120, 250), np.uint8)
    cut = cut_square(flat, Square(x, y, side, turn), size)
    assert cut.shape == (size, size, 3)
    assert (cut == (10, 120, 250)).all()


def test_a_square_is_scaled_with_its_photo():
    assert Square(10, 20, 8).scaled(0.5) == Square(5, 10, 4)
