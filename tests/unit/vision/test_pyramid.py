"""Levels are those that the `mtcnn` package gives a photo alone, whatever goes with it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mtcnn.utils.images import build_scale_pyramid

from vision.area import reduce_by_area
from vision.pyramid import (
    CELL,
    GREY,
    LEVEL_STEP,
    Canvases,
    build_pyramid,
    canvas_shape,
    cells_of,
)

SIDES = st.integers(1, 1000)


def levels_of(sizes):
    return list(build_pyramid(np.array(sizes, np.int32), 0.04))


@pytest.mark.parametrize("size", [(750, 1000), (1000, 667), (400, 300), (1000, 20)])
def test_levels_are_those_of_the_mtcnn_package(size):
    height, width = size
    scales = build_scale_pyramid(
        width, height, min_face_size=max(20, 0.04 * max(size)), scale_factor=0.709
    )
    scales = scales[min(size) * scales >= CELL]
    levels = levels_of([size])
    assert [level.scales[0] for level in levels] == pytest.approx(list(scales))
    expected = [(int(height * scale), int(width * scale)) for scale in scales]
    assert [tuple(level.sizes[0]) for level in levels] == expected


@settings(deadline=None)
@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=5))
def test_a_photo_has_the_same_levels_in_any_company(sizes):
    together = levels_of(sizes)
    for photo, size in enumerate(sizes):
        alone = [tuple(level.sizes[0]) for level in levels_of([size])]
        among = [tuple(level.sizes[list(level.photos).index(photo)])
                 for level in together if photo in level.photos]  # fmt: skip
        assert among == alone


@settings(deadline=None)
@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=5))
def test_canvases_hold_their_levels_and_have_few_shapes(sizes):
    for level in levels_of(sizes):
        assert (level.sizes <= np.array(level.canvas)).all()
        assert (level.sizes.max(axis=0) > np.array(level.canvas) - LEVEL_STEP).all()
        assert all(side % LEVEL_STEP == 0 for side in level.canvas)
        assert (level.sizes >= CELL).all()


@pytest.mark.parametrize(("side", "cells"), [(11, 1), (12, 1), (13, 2), (224, 107), (225, 108)])
def test_cells_are_counted_as_the_proposal_network_counts_them(detector, side, cells):
    from vision.mtcnn_networks import load_networks

    offsets, scores = load_networks().propose(np.zeros((1, side, 40, 3), np.float32))
    assert scores.shape[1] == offsets.shape[1] == cells == cells_of(side)


def test_patches_are_those_of_the_photo_without_its_canvas():
    import tensorflow as tf

    rng = np.random.default_rng(3)
    copies = [rng.integers(0, 256, (size, 70, 3), np.uint8) for size in (50, 64)]
    assert canvas_shape(copies[0]) == canvas_shape(copies[1])
    canvases = Canvases(copies, 0.04)
    boxes = np.array([[10, 5, 40, 45], [3.5, 20, 69, 39.25]], np.float32)
    for photo, copy in enumerate(copies):
        ours = canvases.cut(boxes, np.full(2, photo, np.int32), 24)
        height, width = copy.shape[:2]
        corners = boxes[:, [1, 0, 3, 2]] / np.array([height, width, height, width], np.float32)
        alone = tf.image.crop_and_resize(copy[None], corners, [0, 0], (24, 24))
        assert np.allclose(ours, alone, atol=0.05)


def test_patches_show_grey_beyond_the_canvas_as_tensorflow_does():
    import tensorflow as tf

    rng = np.random.default_rng(4)
    copy = rng.integers(0, 256, (64, 128, 3), np.uint8)
    assert canvas_shape(copy) == (64, 128)
    boxes = np.array([[-30, -8, 60, 200], [100, 10, 180, 50], [-9, -9, -1, -1]], np.float32)
    ours = Canvases([copy], 0.04).cut(boxes, np.zeros(3, np.int32), 48)
    corners = boxes[:, [1, 0, 3, 2]] / np.array([64, 128, 64, 128], np.float32)
    expected = tf.image.crop_and_resize(
        copy[None], corners, [0, 0, 0], (48, 48), extrapolation_value=GREY
    )
    assert np.allclose(ours, expected, atol=0.05)
    assert (ours[2] == GREY).all()


def test_levels_lie_on_grey_canvases_in_the_corner_each_photo_its_own():
    rng = np.random.default_rng(5)
    copies = [rng.integers(0, 256, size, np.uint8) for size in [(60, 100, 3), (52, 97, 3)]]
    for level, drawn in Canvases(copies, 0.04).levels():
        assert drawn.shape == (len(level.photos), *level.canvas, 3)
        for canvas, photo, (height, width) in zip(drawn, level.photos, level.sizes, strict=True):
            (alone,) = reduce_by_area(copies[photo], [(height, width)])
            assert np.array_equal(canvas[:height, :width], alone)
            assert (canvas[height:] == GREY).all()
            assert (canvas[:, width:] == GREY).all()
