"""Bands of face sizes that only add to one another, and the parts of long photos."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facetag.vision.mtcnn.views import bands_down_to, views_of

SIDES = st.integers(1, 1500)
SHARES = st.floats(0.003, 1)


@given(SHARES, SHARES)
def test_a_smaller_bound_has_all_bands_of_a_larger_one(one, other):
    few, many = (bands_down_to(share) for share in sorted((one, other), reverse=True))
    assert many[: len(few)] == few
    assert few[0].is_first
    assert not any(band.is_first for band in many[1:])


@settings(deadline=None, max_examples=40)
@given(SIDES, SIDES, SHARES)
def test_the_views_of_a_band_hang_on_nothing_but_the_photo(height, width, share):
    photo = np.zeros((height, width, 3), np.uint8)
    for band in bands_down_to(share):
        for view in views_of(photo, band):
            across, down = view.scale
            assert view.smallest >= 20
            assert view.pixels.shape[1] * across <= width + 1e-6
            assert view.pixels.shape[0] * down <= height + 1e-6
            assert max(view.pixels.shape[:2]) <= max(4096, 3 * min(view.pixels.shape[:2]))


@pytest.mark.parametrize("size", [(12_000, 1080), (800, 12_000), (2700, 1000)])
def test_parts_cover_a_long_photo_and_each_place_is_the_core_of_one(size):
    (band,) = bands_down_to(0.04)
    whole, *parts = views_of(np.zeros((*size, 3), np.uint8), band)
    assert max(whole.pixels.shape[:2]) == 1000
    axis = int(size[1] > size[0])
    copied = round(max(size) / parts[0].scale[1 - axis])
    for place in range(0, copied, 10):
        (part,) = [
            part for part in parts if part.core[1 - axis] <= place < part.core[3 - axis]
        ]  # fmt: skip
        start = part.corner[1 - axis]
        assert start <= place < start + part.pixels.shape[axis]
        # A face as large as the short side is whole in the part that has its centre, or hangs over
        # the photo's end.
        room = min(part.pixels.shape[:2]) / 2
        assert place - start >= room or start == 0
        assert start + part.pixels.shape[axis] - place >= room - 1 or part is parts[-1]


def test_small_photos_have_no_views_for_faces_below_20_pixels():
    photo = np.zeros((300, 400, 3), np.uint8)
    views = [len(list(views_of(photo, band))) for band in bands_down_to(0.005)]
    assert views == [1] + [0] * (len(views) - 1)
