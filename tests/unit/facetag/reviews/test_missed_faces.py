from types import SimpleNamespace

import pytest

from facetag.errors import ReviewInvalid
from facetag.reviews.missed_faces import clip_drawn_box, group_by_face, overlap


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


@pytest.mark.parametrize(
    ("box", "clipped"),
    [
        ((10, 10, 20, 20), (10, 10, 20, 20)),
        ((90, -5, 50, 30), (90, 0, 10, 25)),
        ((-10, 70, 500, 500), (0, 70, 100, 10)),
    ],
)
def test_a_box_is_clipped_to_its_image(box, clipped):
    assert clip_drawn_box(box, 100, 80) == clipped


@pytest.mark.parametrize("box", [(500, 10, 20, 20), (100, 0, 5, 5), (-20, 0, 20, 20)])
def test_a_box_outside_its_image_is_refused(box):
    with pytest.raises(ReviewInvalid, match="100 by 80 pixels"):
        clip_drawn_box(box, 100, 80)
