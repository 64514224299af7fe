from types import SimpleNamespace

import pytest

from facetag.reviews.missed_faces import group_by_face, overlap


def drawn(x, y, width, height):
    return SimpleNamespace(x=x, y=y, width=width, height=height)


def test_boxes_that_overlap_by_much_are_of_one_face():
    first, second, other = drawn(10, 10, 40, 40), drawn(14, 8, 40, 44), drawn(45, 10, 40, 40)
    assert group_by_face([first, other, second]) == [[first, second], [other]]


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (drawn(0, 0, 4, 4), drawn(0, 0, 4, 4), 1.0),
        (drawn(0, 0, 4, 4), drawn(2, 0, 4, 4), 8 / 24),
        (drawn(0, 0, 4, 4), drawn(4, 0, 4, 4), 0.0),
        (drawn(0, 0, 4, 4), drawn(9, 9, 4, 4), 0.0),
    ],
)
def test_the_overlap_of_two_boxes_is_their_intersection_over_their_union(one, other, found):
    assert overlap(one, other) == pytest.approx(found)
