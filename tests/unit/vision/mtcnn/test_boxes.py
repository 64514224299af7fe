"""Arithmetic of boxes against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.vision.mtcnn import boxes as boxes_module
from facetag.vision.mtcnn.boxes import areas, overlaps, shift_by_offsets, suppress, to_squares


def as_boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


@st.composite
def scored_boxes(draw):
    # Whole numbers: every overlap is the same in float32 and in Python's floats, up to rounding.
    side = st.integers(1, 12)
    place = st.integers(0, 20)
    rows = draw(st.lists(st.tuples(place, place, side, side), max_size=25))
    scores = draw(st.lists(st.integers(0, 6), min_size=len(rows), max_size=len(rows)))
    corners = [(x, y, x + width, y + height) for x, y, width, height in rows]
    return as_boxes(*corners), np.array(scores, np.float32) / 8


def plain_overlap(a, b, over):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area_a, area_b = ((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
    whole = area_a + area_b - width * height if over == "union" else min(area_a, area_b)
    return width * height / whole


def plain_suppress(boxes, scores, threshold, over):
    order = sorted(range(len(boxes)), key=lambda index: -scores[index])
    kept = []
    for place, index in enumerate(order):
        better = order[:place]
        if all(plain_overlap(boxes[b], boxes[index], over) <= threshold for b in better):
            kept.append(index)
    return kept


@given(scored_boxes(), st.sampled_from([0.31, 0.52, 0.73]), st.sampled_from(["union", "smaller"]))
def test_suppression_keeps_what_a_plain_loop_keeps(case, threshold, over):
    boxes, scores = case
    expected = plain_suppress(boxes.tolist(), scores.tolist(), threshold, over)
    assert suppress(boxes, scores, threshold, over).tolist() == expected


@given(scored_boxes(), st.integers(1, 3))
def test_boxes_of_other_groups_are_no_rivals(case, count):
    boxes, scores = case
    groups = (np.arange(len(boxes)) % count).astype(np.int32)
    kept = suppress(boxes, scores, 0.52, groups=groups)
    assert (np.diff(scores[kept]) <= 0).all()
    for group in range(count):
        ours = np.flatnonzero(groups == group)
        alone = ours[suppress(boxes[ours], scores[ours], 0.52)]
        assert [place for place in kept if groups[place] == group] == alone.tolist()


def test_suppression_is_the_same_across_its_blocks():
    rng = np.random.default_rng(3)
    count = 2 * boxes_module.BLOCK + 37
    corner = rng.integers(0, 300, (count, 2))
    boxes = np.concatenate([corner, corner + rng.integers(5, 40, (count, 2))], 1).astype(np.float32)
    scores = rng.random(count).astype(np.float32)
    expected = plain_suppress(boxes.tolist(), scores.tolist(), 0.51, "union")
    assert suppress(boxes, scores, 0.51).tolist() == expected


def test_a_box_goes_even_where_the_better_one_that_covers_it_goes_too():
    row = as_boxes((0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10))
    assert suppress(row, np.array([0.9, 0.8, 0.7], np.float32), 0.4).tolist() == [0]


def test_overlaps_are_over_the_union_or_over_the_smaller_box():
    large, small = as_boxes((0, 0, 10, 10)), as_boxes((5, 5, 10, 10), (20, 20, 30, 30))
    assert overlaps(large, small).tolist() == [[0.25, 0.0]]
    assert overlaps(large, small, "smaller").tolist() == [[1.0, 0.0]]


def test_inverted_boxes_have_no_area_and_overlap_nothing():
    inverted = as_boxes((10, 10, 0, 0))
    assert areas(inverted).tolist() == [0.0]
    assert overlaps(inverted, as_boxes((0, 0, 10, 10))).tolist() == [[0.0]]


def test_squares_keep_the_centre_and_take_the_longer_side():
    squares = to_squares(as_boxes((10, 20, 30, 80), (0, 0, 8, 4)))
    assert squares.tolist() == [[-10, 20, 50, 80], [0, -2, 8, 6]]
    assert squares.dtype == np.float32


def test_offsets_are_in_units_of_the_boxs_own_sides():
    moved = shift_by_offsets(as_boxes((0, 10, 9, 29)), as_boxes((0.1, -0.2, 0.3, 0.5)))
    assert moved.ravel().tolist() == pytest.approx([1, 6, 12, 39])


def test_no_boxes_are_no_boxes():
    nothing = as_boxes()
    assert suppress(nothing, np.zeros(0, np.float32), 0.5).tolist() == []
    assert to_squares(nothing).shape == (0, 4)
    assert shift_by_offsets(nothing, nothing).shape == (0, 4)
