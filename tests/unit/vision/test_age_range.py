"""The range about an age: interpolated, never below 0, the same after its manifest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision.age_range import AgeRange

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
