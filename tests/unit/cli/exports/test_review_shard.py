import io

import numpy as np
import pytest
from PIL import Image

from facetag.errors import ShardUnreadable
from facetag.reviews.verdicts import Opinion, Verdict, settle
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


def test_a_face_that_half_of_its_reviewers_call_none_is_left_out(tmp_path):
    said = {key: value for key, value in FACE.items() if key not in ("box", "reviewed")}
    opinions = [Opinion("anna", Verdict.ACCEPTED), Opinion("ben", Verdict.NO_FACE)]
    disputed = {"box": FACE["box"], **settle(said, opinions)}
    counts, _ = write(tmp_path, {"position": 0, "faces": [FACE, disputed]})
    assert counts == (1, 1)


def test_a_face_is_cut_with_a_margin_and_its_box_is_said_in_the_cut():
    with Image.open(io.BytesIO(photo())) as whole:
        data, box = cut_face(whole, [40, 30, 20, 24])
        _, corner = cut_face(whole, [2, 1, 20, 24])
    with Image.open(io.BytesIO(data)) as cut:
        assert cut.size == (44, 48)
    assert box == [12, 12, 20, 24]
    assert corner == [2, 1, 20, 24]


@pytest.mark.parametrize("turned", [0, 45, 90, 135, 180, 225, 270, 315])
def test_a_face_of_a_turned_photo_is_upright_in_the_cut_and_its_box_holds_it(turned):
    # A patch that is dark on its lower side, and where the photo lies turned, so does it.
    upright = np.full((200, 200, 3), 128, np.uint8)
    upright[80:100, 90:110], upright[100:120, 90:110] = 255, 0
    whole = Image.fromarray(upright).rotate(-turned, fillcolor=(128, 128, 128))
    width, height = (40, 20) if turned in (90, 270) else (20, 40)
    data, box = cut_face(whole, [100 - width // 2, 100 - height // 2, width, height], turned)
    left, top, wide, high = box
    with Image.open(io.BytesIO(data)) as cut:
        seen = np.asarray(cut)[top : top + high, left : left + wide].mean(axis=2)
    assert seen.shape == (40, 20)
    assert seen[4:16, 4:16].mean() > 235
    assert seen[24:36, 4:16].mean() < 20


def test_a_face_outside_its_photo_is_left_out_and_one_at_its_edge_is_cut(tmp_path):
    outside, edge = FACE | {"box": [500, 10, 20, 20]}, FACE | {"box": [110, 80, 30, 30]}
    counts, samples = write(tmp_path, {"position": 0, "faces": [outside, edge, FACE]})
    assert counts == (2, 1)
    assert samples[0].box == (5, 5, 10, 10)


def test_a_job_without_reviews_writes_no_shard(tmp_path):
    with pytest.raises(ShardUnreadable, match="review it on the page"):
        write(tmp_path, {"position": 0, "faces": []})
    assert list(tmp_path.iterdir()) == []
