"""Table 1 as the service would see it: every validly labelled image counts."""

import json

import numpy as np
import pytest

from facetag.errors import ShardUnreadable
from facetag.settings import Settings
from facetag.vision.bundle import open_bundle, save_manifest
from facetag.vision.crop import cut_square, whole_image
from facetag.vision.difference_hash import difference_hash
from facetag.vision.inference.openvino_conversion import convert_network
from facetag.vision.mtcnn.detector import Detector, largest_face
from facetag.vision.network.calibration import at_temperature, mean_reading
from facetag.vision.network_loader import compile_cascade
from facetag_trainer.evaluation.bundle_evaluation import evaluate_bundle
from facetag_trainer.evaluation.evaluation_results import measure_evaluation, results_json
from tests.unit.trainer.chips import chip_members, encode, make_chip, waves, write_tar

SETTINGS = Settings()
FACELESS = waves(np.random.default_rng(5), 160)
GREY = np.full((200, 200, 3), 128, np.uint8)


@pytest.fixture
def shard(tmp_path):
    return write_tar(
        tmp_path / "test.tar",
        [
            *chip_members(3),
            ("bad-name.jpg", encode(make_chip(7))),
            ("40_1_2_faceless.jpg", encode(FACELESS)),
            ("50_0_3_text.jpg", b"no image"),
            ("200_0_3_old.jpg", encode(make_chip(8))),
            ("pair.jpg", encode(make_chip(9))),
            ("pair.json", {"gender": "female"}),
            *chip_members(1),
        ],
    )


def cut(photo, square):
    return cut_square(photo, square, 32)


def predict(bundle, crops):
    return convert_network(bundle.load_network(), bundle.spec).predict(np.stack(crops))


def test_every_validly_labelled_image_counts_and_no_other(tiny_bundle, shard):
    seen = []
    found = evaluate_bundle(tiny_bundle, [shard], SETTINGS, on_progress=seen.append)
    assert len(found.samples) == len(found.hashes) == 7
    assert found.invalid == 2
    assert found.faceless == 2
    assert sum(seen) == 7
    assert found.labels["age"].tolist()[:5] == [18, 19, 20, 40, 50]
    assert np.isnan(found.labels["age"][5])
    assert found.labels["gender"][5] == 1
    assert {name: values.shape for name, values in found.outputs.items()} == {
        "age": (7, 1),
        "gender": (7, 1),
        "race": (7, 5),
    }


def test_the_face_in_the_samples_box_is_read_and_not_a_larger_one(tiny_bundle, tmp_path):
    photo = np.zeros((240, 360, 3), np.uint8)
    photo[20:220, 10:210] = make_chip(1, 200)
    photo[60:180, 230:350] = make_chip(2, 120)
    labels, box = {"gender": "female"}, {"box": [245, 75, 90, 90]}
    members = [("a.jpg", encode(photo)), ("a.json", labels)]
    members += [("b.jpg", encode(photo)), ("b.json", labels | box)]
    found = evaluate_bundle(tiny_bundle, [write_tar(tmp_path / "t.tar", members)], SETTINGS)
    detector = Detector(
        compile_cascade(), min_face=SETTINGS.min_face, confidence=SETTINGS.face_confidence
    )
    faces = sorted(detector.detect([photo])[0], key=lambda face: face.box[0])
    assert len(faces) == 2
    crops = [cut(photo, tiny_bundle.crop_rule.square(face)) for face in faces]
    assert found.outputs["age"] == pytest.approx(predict(tiny_bundle, crops)["age"], abs=1e-3)


def test_images_go_through_detector_and_crop_as_in_the_service(tiny_bundle, shard):
    found = evaluate_bundle(tiny_bundle, [shard], SETTINGS)
    detector = Detector(
        compile_cascade(), min_face=SETTINGS.min_face, confidence=SETTINGS.face_confidence
    )
    chip = make_chip(1)
    square = tiny_bundle.crop_rule.square(largest_face(detector.detect([chip])[0]))
    crops = [
        cut(chip, square),
        cut(FACELESS, whole_image(FACELESS)),
        cut(GREY, whole_image(GREY)),
    ]
    for name, values in predict(tiny_bundle, crops).items():
        assert np.allclose(found.outputs[name][[1, 3, 4]], values, atol=1e-3)


def test_bare_images_are_taken_whole(tiny_bundle, shard):
    found = evaluate_bundle(tiny_bundle, [shard], SETTINGS, bare=True)
    assert len(found.samples) == found.faceless == 7
    chip = make_chip(2)
    expected = predict(tiny_bundle, [cut(chip, whole_image(chip))])
    assert np.allclose(found.outputs["race"][2], expected["race"][0], atol=1e-3)


def test_several_shards_are_one_table_and_valid_json(tiny_bundle, shard, chips_tar):
    found = evaluate_bundle(tiny_bundle, [chips_tar, shard], SETTINGS, bare=True)
    table = results_json(measure_evaluation(found))
    assert table["n"] == 19
    assert set(table) >= {"n", "age", "gender", "race"}
    assert set(table["gender"]) >= {"accuracy", "f1", "precision", "recall", "auc"}
    json.dumps(table, allow_nan=False)


def test_what_the_bundle_says_of_calibration_and_mirroring_is_honoured(tiny_bundle, shard):
    plain = evaluate_bundle(tiny_bundle, [shard], SETTINGS, bare=True)
    fields = {"calibration": {"temperatures": {"race": 3.0}}, "mirror": True}
    save_manifest(tiny_bundle.folder, {**tiny_bundle.manifest, **fields})
    found = evaluate_bundle(open_bundle(tiny_bundle.folder), [shard], SETTINGS, bare=True)
    chip = make_chip(2)
    crop = cut(chip, whole_image(chip))
    one, other = predict(tiny_bundle, [crop]), predict(tiny_bundle, [crop[:, ::-1]])
    mean = mean_reading("race", one["race"], other["race"])
    assert np.allclose(found.outputs["race"][2], at_temperature("race", mean, 3.0)[0], atol=1e-3)
    assert np.allclose(found.outputs["age"][2], (one["age"] + other["age"])[0] / 2, atol=1e-3)
    assert not np.allclose(found.outputs["race"], plain.outputs["race"], atol=1e-3)


def test_images_are_hashed_as_they_are_and_not_as_cropped(tiny_bundle, shard):
    found = evaluate_bundle(tiny_bundle, [shard], SETTINGS)
    assert np.array_equal(found.hashes[0], difference_hash(make_chip(0)))
    assert found.age_range == tiny_bundle.age_range


def test_a_shard_without_a_valid_label_is_refused(tiny_bundle, tmp_path):
    path = write_tar(tmp_path / "test.tar", [("x.jpg", b"1")])
    with pytest.raises(ShardUnreadable, match="valid label"):
        evaluate_bundle(tiny_bundle, [path], SETTINGS)
