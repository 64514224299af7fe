"""The range about an age: interpolated, never below 0, the same after its manifest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.results.image_lines import age_fields
from facetag.vision.network.age_range import AgeRange

RANGE = AgeRange(coverage=0.8, knots=[10, 30], below=[2, 6], above=[4, 10])


@pytest.mark.parametrize(
    ("age", "expected"),
    [(10, (8, 14)), (30, (24, 40)), (20, (16, 27)), (90, (84, 100)), (5, (3, 9)), (1, (0, 5))],
)
def test_offsets_are_interpolated_between_the_knots(age, expected):
    assert RANGE.around(age) == pytest.approx(expected)


@given(st.floats(0, 120))
def test_a_range_holds_its_age_and_starts_at_0_or_later(age):
    low, high = RANGE.around(age)
    assert 0 <= low <= age <= high


def test_a_range_survives_its_manifest():
    assert AgeRange.from_json(RANGE.to_json()) == RANGE
    assert AgeRange(0.8, [1.23456], [2.0], [3.0]).to_json()["knots"] == [1.23]


def test_a_label_is_covered_by_the_whole_years_that_results_report():
    # Around 20 the ends are 16 and 27; around 21 they are 16.8 and 28.3, reported as 17 and 28.
    predicted, labels = (
        np.float32([20, 20, 20, 20, 21, 21, 21, 21]),
        [16, 15, 27, 28, 17, 16, 28, 29],
    )
    covered = RANGE.covers(predicted, np.float32(labels))
    assert covered.tolist() == [True, False] * 4


@given(st.floats(0, 116), st.integers(0, 116))
def test_covering_agrees_with_what_results_state(age, label):
    low, high = age_fields(age, RANGE.around(age))["age_range"]
    covered = RANGE.covers(np.array([age]), np.float32([label]))[0]
    assert covered == (low <= label <= high)


def test_a_widened_range_has_offsets_times_the_factor():
    low, high = RANGE.widened(2).around(20)
    assert (low, high) == (12, 34)
