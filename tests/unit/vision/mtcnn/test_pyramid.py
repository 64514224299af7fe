"""Levels are those that the `mtcnn` package gives a photo alone, whatever goes with it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mtcnn.utils.images import build_scale_pyramid

from facetag.vision.mtcnn.pyramid import (
    CELL,
    MARGIN,
    SMALLEST_LEVEL,
    STRIDE,
    build_pyramid,
    cells_of,
)

SIDES = st.integers(1, 1000)


def levels_of(sizes):
    sides = np.array(sizes, np.int32)
    return list(build_pyramid(sides, np.maximum(20, 0.04 * sides.max(axis=1))))


@pytest.mark.parametrize("size", [(750, 1000), (1000, 667), (400, 300), (1000, 20)])
def test_levels_are_those_of_the_mtcnn_package(size):
    height, width = size
    scales = build_scale_pyramid(
        width, height, min_face_size=max(20, 0.04 * max(size)), scale_factor=0.709
    )
    scales = scales[min(size) * scales >= CELL]
    every = levels_of([size])
    levels = every[: len(scales)]
    # Those that are added are smaller than a cell: they show faces larger than the photo.
    assert all(SMALLEST_LEVEL <= level.sizes.min() < CELL for level in every[len(scales) :])
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
def test_the_room_of_a_level_holds_it_of_every_photo(sizes):
    for level in levels_of(sizes):
        within = np.array(level.room) - 2 * MARGIN
        assert (level.sizes <= within).all()
        assert (level.sizes.max(axis=0) > within - STRIDE).all()
        assert all(side % STRIDE == 0 for side in level.room)
        assert (level.sizes >= SMALLEST_LEVEL).all()


@pytest.mark.parametrize(("side", "cells"), [(11, 1), (12, 1), (13, 2), (224, 107), (225, 108)])
def test_cells_are_counted_as_the_proposal_network_counts_them(side, cells):
    from facetag.vision.mtcnn.networks import load_networks

    (planes,) = load_networks().propose(np.zeros((1, side, 40, 3), np.float32))
    assert planes.shape[1:3] == (5, cells) == (5, cells_of(side))


def test_a_band_of_one_level_has_its_largest_one_alone():
    sizes = np.array([[750, 1000]], np.int32)
    (level,) = build_pyramid(sizes, np.array([40.0]), 1)
    assert tuple(level.sizes[0]) == (225, 300)
