from facetag.results.csv_rows import rows_of_line
from facetag.results.label_certainty import certain_labels

FACE = {
    "box": [1, 2, 3, 4],
    "confidence": 0.99,
    "age": 31.0,
    "age_range": [26, 37],
    "gender": {"label": "female", "probability": 0.9},
    "race": {"label": "asian", "probabilities": {"asian": 0.6, "white": 0.4}},
    "uncertain": [],
}
LINE = {
    "image": "a.jpg",
    "state": "tagged",
    "error": None,
    "model": "v1",
    "width": 9,
    "height": 9,
    "faces": [FACE],
}


def certain(least, **fields):
    return certain_labels(LINE | {"faces": [FACE | fields]}, least)["faces"][0]


def test_improbable_labels_become_null_and_the_rest_stays():
    assert certain(0.7) == FACE | {"race": None}
    assert certain(0.6) == FACE
    assert certain(1.0) == FACE | {"gender": None, "race": None}


def test_labels_marked_uncertain_become_null_however_probable():
    found = certain(0.0, uncertain=["age", "gender"])
    assert (found["age"], found["age_range"], found["gender"]) == (None, None, None)
    assert found["race"] == FACE["race"]
    assert found["uncertain"] == ["age", "gender"]


def test_heads_that_were_not_predicted_are_not_added_and_the_line_is_not_changed():
    bare = {"box": [1, 2, 3, 4], "confidence": 0.99, "uncertain": ["age", "gender", "race"]}
    assert certain_labels(LINE | {"faces": [bare]}, 1.0)["faces"] == [bare]
    assert LINE["faces"][0]["race"]["label"] == "asian"


def test_null_labels_are_empty_cells():
    cells = dict(enumerate(next(rows_of_line(certain_labels(LINE, 1.0)))))
    assert "female" not in cells.values()
    assert "asian" not in cells.values()
