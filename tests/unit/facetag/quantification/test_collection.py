"""Faces of a collection, gathered from result lines."""

from facetag.quantification.collection import gather


def test_boxes_that_may_be_no_face_are_left_out_and_told():
    faces = [{"uncertain": ["face", "race"]}, {"uncertain": ["race"]}, {}]
    line = {"state": "tagged", "model": "v1", "faces": faces}
    collection = gather([line, {"state": "no_face", "model": "v1", "faces": []}])
    assert collection.photos == 2
    assert collection.faces == 2
    assert (collection.possible, collection.uncertain) == (1, 1)
