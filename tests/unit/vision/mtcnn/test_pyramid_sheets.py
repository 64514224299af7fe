"""A sheet gives every level what the proposal network gives it alone, and nobody anything else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facetag.vision.mtcnn.canvases import Canvases
from facetag.vision.mtcnn.pyramid import CELL, MARGIN, build_pyramid, cells_of
from facetag.vision.mtcnn.pyramid_sheets import SHEET_STEP, arrange, spread

SIDES = st.integers(12, 1000)


def levels_of(sizes):
    sides = np.array(sizes, np.int32)
    return list(build_pyramid(sides, np.maximum(20, 0.04 * sides.max(axis=1))))


def sheets_of(sizes):
    levels = levels_of(sizes)
    return list(spread(levels, len(sizes)))


@settings(deadline=None)
@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=4))
def test_each_level_has_room_of_its_own_on_a_sheet(sizes):
    for sheet in sheets_of(sizes):
        height, width = sheet.shape
        assert height % SHEET_STEP == width % SHEET_STEP == 0
        taken = np.zeros((height, width), np.uint8)
        for level, (top, left) in zip(sheet.levels, sheet.corners, strict=True):
            room_height, room_width = level.room
            place = taken[top : top + room_height, left : left + room_width]
            assert place.shape == level.room
            place += 1
        assert taken.max() == 1


@settings(deadline=None)
@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=4))
def test_every_level_is_on_one_sheet(sizes):
    levels = levels_of(sizes)
    spread_out = [level for sheet in spread(levels, len(sizes)) for level in sheet.levels]
    assert len(spread_out) == len(levels)
    assert all(one is other for one, other in zip(spread_out, levels, strict=True))


@pytest.mark.parametrize("size", [(750, 1000), (1000, 667), (1000, 1000), (563, 1000)])
def test_sheets_are_little_larger_than_their_levels_with_margins(size):
    _, sheet = sheets_of([size])
    pixels = sum(int(np.prod(level.room)) for level in sheet.levels)
    assert pixels > 0.8 * np.prod(sheet.shape)


def test_rectangles_are_laid_in_corners_that_others_leave():
    corners, (height, width) = arrange(((8, 6), (6, 4), (2, 2), (2, 2), (4, 4)))
    assert corners == [(0, 0), (0, 6), (6, 6), (6, 8), (0, 10)]
    assert (height, width) == (8, 14)


def test_a_cell_lies_on_the_level_whose_room_holds_it_and_on_none_between_them():
    sizes = [(750, 1000), (480, 640)]
    for sheet in sheets_of(sizes):
        height, width = sheet.shape
        cells = np.stack(np.indices((height // 2, width // 2)), axis=-1).reshape(-1, 2)
        for photo in range(len(sizes)):
            located = sheet.locate(np.full(len(cells), photo), cells)
            assert len(np.unique(located.found)) == len(located.found)
            for place, level in enumerate(sheet.levels):
                ours = located.level == place
                here = list(level.photos).index(photo)
                rows, columns = cells_of(level.sizes[here])
                assert (ours & located.own).sum() == max(0, rows) * max(0, columns)
                around = cells_of(level.sizes[here] + 2 * MARGIN)
                assert ours.sum() == np.prod(around)
                corner = np.array(sheet.corners[place]) + MARGIN
                assert np.array_equal(
                    cells[located.found[ours]] * 2, corner + located.cells[ours] * 2
                )
                assert (located.scales[ours] == level.scales[here]).all()


def test_a_photo_has_no_cells_on_a_level_that_it_does_not_reach():
    sheets = sheets_of([(1000, 1000), (100, 1000)])
    (sheet,) = [sheet for sheet in sheets if len(sheet.levels) > 1]
    reached = [place for place, level in enumerate(sheet.levels) if 1 in level.photos]
    assert 0 < len(reached) < len(sheet.levels)
    height, width = sheet.shape
    cells = np.stack(np.indices((height // 2, width // 2)), axis=-1).reshape(-1, 2)
    located = sheet.locate(np.ones(len(cells), int), cells)
    assert sorted(set(located.level)) == reached


def test_logits_and_offsets_on_a_sheet_are_those_of_the_level_alone(astronaut):
    from facetag.vision.mtcnn.networks import load_networks

    propose = load_networks().propose
    copies = [astronaut, astronaut[:500, :471]]
    compared = 0
    for sheet, drawn in Canvases(copies, [20, 20]).sheets():
        (planes,) = propose(drawn)
        for level, (top, left) in zip(sheet.levels, sheet.corners, strict=True):
            for photo, (height, width) in zip(level.photos, level.sizes, strict=True):
                # Odd sides are judged with the grey beyond them.
                if min(height, width) < CELL:
                    continue
                top_, left_ = top + MARGIN, left + MARGIN
                room = drawn[photo, top_ : top_ + height + height % 2, left_:]
                room = room[:, : width + width % 2]
                rows, columns = cells_of(np.array([height, width]))
                (alone,) = propose(room[None])
                own = planes[photo, :, top_ // 2 :, left_ // 2 :][:, :rows, :columns]
                assert np.allclose(own, alone[0], atol=1e-4)
                compared += rows * columns
    assert compared > 10_000
