"""What `benchmarks.turned_photos` measures, over few public-domain portraits."""

import pytest

from benchmarks.turned_photos import make_portraits, measure, turn
from facetag.settings import Settings
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.labeller import load_labeller


@pytest.mark.timeout(300)
def test_turned_portraits_are_found_and_read_as_they_are_upright():
    labeller = load_labeller(Settings(), CpuSlots.for_one_caller())
    shifts = measure(labeller, make_portraits(2, seed=3), angles=(30, 45, 90, 180, 270, 330))
    for angle, shift in shifts.items():
        assert shift.upright == 2
        assert shift.found == 1, angle
        assert abs(shift.age_shift) < 6, angle
        # The gender of this portrait is read as uncertain, so that other pixels may turn it over;
        # a quarter turn gives the very same ones.
        if angle in (90, 180, 270):
            assert shift.other_gender == 0, angle
            assert abs(shift.age_shift) < 0.5, angle


def test_portraits_are_the_same_every_time_and_turn_clockwise():
    first, second = make_portraits(3, seed=1), make_portraits(3, seed=1)
    assert [one.tobytes() for one in first] == [one.tobytes() for one in second]
    photo = first[0]
    view = turn(photo, 90)
    assert view.getpixel((view.width - 1, 0)) == photo.getpixel((0, 0))
