import json

from facetag.errors import ErrorCode
from facetag.results.collection_counts import compose
from facetag.results.counts_json import REASONS, counts_json


def line(*faces, code=None):
    return {
        "image": "a.jpg",
        "state": "failed" if code else "tagged",
        "error": {"code": code, "message": "Why."} if code else None,
        "model": "net-1",
        "faces": list(faces),
    }


def test_counts_are_json_with_the_filters_of_every_bin():
    face = {
        "confidence": 0.925,
        "age": 30,
        "gender": {"label": "female", "probability": 0.75},
        "uncertain": ["gender"],
    }
    found = json.loads(json.dumps(counts_json(compose([line(face), line(code="truncated")]))))
    assert found["heads"] == ["age", "gender"]
    assert found["cells"] == [
        {"gender": "female", "race": None, "band": "20–39", "count": 1, "uncertain": 1}
    ]
    detection = [one for one in found["confidence"][0]["bins"] if one["count"]]
    assert detection == [{"label": "92% to 93%", "count": 1, "filter": {"confidence": "0.92-0.93"}}]
    assert found["failures"] == [
        {"code": "truncated", "reason": "Cut off in the middle", "count": 1, "names": ["a.jpg"]}
    ]


def test_an_empty_collection_has_no_heads_and_no_charts():
    found = counts_json(compose([]))
    assert (found["heads"], found["cells"], found["confidence"]) == ([], [], [])


def test_every_documented_code_has_a_reason():
    assert set(REASONS) == set(ErrorCode)
