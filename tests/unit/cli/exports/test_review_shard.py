import io

import numpy as np
import pytest
from PIL import Image

from facetag.errors import ShardUnreadable
from facetag.settings import Settings
from facetag_cli.exports.review_shard import cut_face, write_review_shard
from facetag_trainer.data.shards import read_shard

REVIEWED = {"by": ["anna"], "verdict": "corrected", "said": {}}
FACE = {
    "box": [40, 30, 20, 24],
    "age": 34.5,
    "gender": {"label": "female", "probability": 1.0},
    "race": {"label": "asian", "probabilities": {}},
    "uncertain": [],
    "reviewed": REVIEWED,
}


def photo():
    file = io.BytesIO()
    Image.fromarray(np.full((90, 120, 3), 90, np.uint8)).save(file, "PNG")
    return file.getvalue()


def write(tmp_path, *lines):
    output = tmp_path / "reviewed.tar"
    counts = write_review_shard(lines, lambda _: photo(), output, Settings())
    return counts, list(read_shard(output))


def test_reviewed_faces_become_a_shard_with_the_labels_that_are_certain(tmp_path):
    doubted = FACE | {"uncertain": ["race"]}
    nothing = FACE | {"uncertain": ["age", "gender", "race"]}
    machine = {key: value for key, value in FACE.items() if key != "reviewed"}
    line = {"position": 3, "faces": [FACE, doubted, nothing, machine]}
    counts, samples = write(tmp_path, line)
    assert counts == (2, 1)
    assert [sample.labels for sample in samples] == [
        {"age": 34.5, "gender": 1.0, "race": 2.0},
        {"age": 34.5, "gender": 1.0},
    ]


def test_a_face_is_cut_with_a_margin_and_its_box_is_said_in_the_cut():
    with Image.open(io.BytesIO(photo())) as whole:
        data, box = cut_face(whole, [40, 30, 20, 24])
        _, corner = cut_face(whole, [2, 1, 20, 24])
    with Image.open(io.BytesIO(data)) as cut:
        assert cut.size == (44, 48)
    assert box == [12, 12, 20, 24]
    assert corner == [2, 1, 20, 24]


def test_a_job_without_reviews_writes_no_shard(tmp_path):
    with pytest.raises(ShardUnreadable, match="review it on the page"):
        write(tmp_path, {"position": 0, "faces": []})
    assert list(tmp_path.iterdir()) == []
