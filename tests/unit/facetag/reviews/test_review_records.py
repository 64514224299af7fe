import pytest

from facetag.errors import ReviewInvalid
from facetag.reviews.review_records import clip_box


@pytest.mark.parametrize(
    ("box", "clipped"),
    [
        ((10, 10, 20, 20), (10, 10, 20, 20)),
        ((90, -5, 50, 30), (90, 0, 10, 25)),
        ((-10, 70, 500, 500), (0, 70, 100, 10)),
    ],
)
def test_a_box_is_clipped_to_its_image(box, clipped):
    assert clip_box(box, 100, 80) == clipped


@pytest.mark.parametrize("box", [(500, 10, 20, 20), (100, 0, 5, 5), (-20, 0, 20, 20)])
def test_a_box_outside_its_image_is_refused(box):
    with pytest.raises(ReviewInvalid, match="100 by 80 pixels"):
        clip_box(box, 100, 80)
