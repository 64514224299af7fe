"""Faces of a collection, gathered from result lines."""

import pytest

from facetag.errors import QuantificationUnavailable
from facetag.quantification.collection import gather


def test_boxes_that_may_be_no_face_are_left_out_and_told():
    faces = [{"uncertain": ["face", "race"]}, {"uncertain": ["race"]}, {}]
    line = {"state": "tagged", "model": "v1", "faces": faces}
    collection = gather([line, {"state": "no_face", "model": "v1", "faces": []}])
    assert collection.photos == 2
    assert collection.faces == 2
    assert (collection.possible, collection.uncertain) == (1, 1)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "No photo of this collection could be labelled"),
        (
            [{"state": "tagged", "model": "v1", "faces": [{}], "duplicate_of": "a.jpg"}],
            "Every labelled photo of this collection repeats one",
        ),
    ],
)
def test_a_collection_without_a_photo_of_its_own_says_why_it_has_no_shares(lines, said):
    with pytest.raises(QuantificationUnavailable, match=said):
        _ = gather(lines).version
