"""From photos to faces with the fields of the contract, by a tiny bundle."""

import math
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.errors import BundleInvalid
from facetag.heads import GENDER, RACE, is_counted
from facetag.settings import Settings
from facetag.vision.bundle import open_bundle, save_manifest
from facetag.vision.bundle_writer import write_bundle
from facetag.vision.crop import UprightCrop
from facetag.vision.inference.compiled_network import MOST_AT_ONCE
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.inference.openvino_conversion import convert_bundle
from facetag.vision.labeller import Labeller, _share_out, clip_box, load_labeller
from facetag.vision.mtcnn.detection_evidence import EVIDENCE
from facetag.vision.mtcnn.detector import PATCH_BATCH, PATCH_STEP, Detector
from facetag.vision.mtcnn.face_probability import FaceProbability
from facetag.vision.network.attributes import build_network
from facetag.vision.network.spec import NetworkSpec
from facetag.vision.photo import whole_picture


def seen(photo):
    return whole_picture(photo, 1000)


def make_labeller(bundle, detector, heads=("age", "gender", "race"), lanes=1):
    return Labeller(bundle, convert_bundle(bundle), detector, heads, CpuSlots.for_lanes(lanes))


def load(settings):
    return load_labeller(settings, CpuSlots.for_one_caller())


@pytest.fixture
def labeller(tiny_bundle, detector):
    return make_labeller(tiny_bundle, detector)


def test_a_face_has_the_fields_of_the_contract(labeller, astronaut):
    face = labeller.label([seen(astronaut)]).faces[0][0].to_json()
    assert set(face) == {"box", "confidence", "age", "age_range", "gender", "race"}
    assert 0.9 < face["confidence"] <= 1
    assert face["age_range"][0] <= face["age"] <= face["age_range"][1]
    assert all(isinstance(value, int) for value in [*face["box"], *face["age_range"]])
    assert face["gender"]["label"] in GENDER.labels
    assert 0.5 <= face["gender"]["probability"] <= 1
    assert tuple(face["race"]["probabilities"]) == RACE.labels
    probabilities = face["race"]["probabilities"]
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-3)
    assert probabilities[face["race"]["label"]] == max(probabilities.values())


def test_faces_belong_to_their_photos_and_the_largest_comes_first(labeller, astronaut, crowd):
    blank = np.zeros((200, 300, 3), np.uint8)
    faces = labeller.label([seen(photo) for photo in (blank, crowd, astronaut, blank)]).faces
    assert [len(found) for found in faces] == [0, 2, 1, 0]
    areas = [face.box[2] * face.box[3] for face in faces[1]]
    assert areas[0] > areas[1]
    # The larger face of the crowd is the astronaut's photo, at the same place.
    assert np.allclose(faces[1][0].box, faces[2][0].box, atol=6)


@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_faces_of_a_batch_are_those_of_each_photo_alone(
    tiny_bundle, detector, labeller, astronaut, crowd, lanes
):
    photos = [crowd, astronaut[:, 100:400], crowd[:, :, ::-1], astronaut, crowd[::-1], crowd] * 2
    in_lanes = make_labeller(tiny_bundle, detector, lanes=lanes)
    batch = in_lanes.label([seen(photo) for photo in photos])
    assert sum(map(len, batch.faces)) > MOST_AT_ONCE
    assert all(ms > 0 for ms in batch.stage_ms.values())
    for photo, faces in zip(photos, batch.faces, strict=True):
        alone = labeller.label([seen(photo)]).faces[0]
        assert [face.box for face in faces] == [face.box for face in alone]
        for one, other in zip(faces, alone, strict=True):
            assert one.attributes["race"]["label"] == other.attributes["race"]["label"]
            assert one.attributes["age"] == pytest.approx(other.attributes["age"], abs=0.11)


def test_all_lanes_are_warmed_up_at_a_time_for_every_number_of_crops(
    tiny_bundle, detector, monkeypatch
):
    labeller = make_labeller(tiny_bundle, detector, lanes=2)
    patches, crops = [], []
    together = threading.Barrier(2, timeout=20)

    def predict(batch):
        crops.append(len(batch))
        together.wait()

    def refine(batch):
        patches.append(len(batch))
        return networks.refine(batch)

    networks = detector.networks
    monkeypatch.setattr(detector, "networks", replace(networks, refine=refine))
    monkeypatch.setattr(labeller.network, "predict", predict)
    labeller.warm_up()
    # The first photo needs no more; what is left is done before this ends.
    assert crops[:2] == [1, 1]
    labeller.finish_warm_up()
    assert sorted(crops) == sorted([*range(1, MOST_AT_ONCE + 1)] * 2)
    assert sorted(patches) == sorted([*range(PATCH_STEP, PATCH_BATCH + 1, PATCH_STEP)] * 2)


def test_what_fails_in_a_lane_is_raised(tiny_bundle, detector, astronaut):
    class Broken:
        width, height = 512, 512
        copy = astronaut

        def at_least(self, _scale):
            raise MemoryError("in a lane")

    in_lanes = make_labeller(tiny_bundle, detector, lanes=2)
    with pytest.raises(MemoryError, match="in a lane"):
        in_lanes.label([seen(astronaut), Broken()])


@pytest.mark.parametrize(
    ("count", "lanes", "parts"),
    [(27, 2, [14, 13]), (3, 2, [2, 1]), (1, 2, [1]), (0, 2, [0]), (9, 4, [3, 3, 3]), (5, 1, [5])],
)
def test_crops_are_shared_out_among_lanes(count, lanes, parts):
    shared = _share_out(list(range(count)), lanes)
    assert [len(part) for part in shared] == parts
    assert [crop for part in shared for crop in part] == list(range(count))


def test_every_stage_is_timed_and_no_photos_are_no_fault(labeller, astronaut):
    batch = labeller.label([])
    assert batch.faces == []
    assert set(batch.stage_ms) == {"detect", "crop", "predict"}
    assert labeller.label([seen(astronaut)]).stage_ms["detect"] > 0


def test_free_memory_is_handed_back_where_labelling_holds_more_than_it_may(
    labeller, astronaut, monkeypatch
):
    trims = []
    monkeypatch.setattr("facetag.vision.labeller.return_free_memory", lambda: trims.append(1))
    labeller.warm_up()
    labeller.finish_warm_up()
    labeller.label([seen(astronaut)])
    assert not trims
    monkeypatch.setattr("facetag.vision.labeller.resident_bytes", lambda: 2**40)
    labeller.label([seen(astronaut)])
    assert trims


def test_boxes_are_clipped_to_the_photo(labeller, astronaut):
    photo = astronaut[78:300, 100:400]
    (x, y, width, height) = labeller.label([seen(photo)]).faces[0][0].box
    assert y == 0
    assert x >= 0
    assert x + width <= photo.shape[1]
    assert y + height <= photo.shape[0]


@pytest.mark.parametrize("heads", [("gender",), ("race", "age")])
def test_the_setting_leaves_out_heads(tiny_bundle, detector, astronaut, heads):
    face = make_labeller(tiny_bundle, detector, heads).label([seen(astronaut)]).faces[0][0]
    expected = {"gender"} if heads == ("gender",) else {"age", "age_range", "race"}
    assert set(face.attributes) == expected


def test_a_call_may_ask_for_fewer_heads_and_faces_alone_ask_no_network(
    tiny_bundle, detector, astronaut
):
    labeller = make_labeller(tiny_bundle, detector)
    asked = []
    predict = labeller.network.predict
    labeller.network.predict = lambda crops, heads: (
        asked.append(len(crops)) or predict(crops, heads)
    )
    (face,) = labeller.label([seen(astronaut)], heads=["race"]).faces[0]
    assert set(face.attributes) == {"race"}
    assert sum(asked) == 1
    (bare,) = labeller.label([seen(astronaut)], heads=[]).faces[0]
    assert (bare.box, dict(bare.attributes)) == (face.box, {})
    assert sum(asked) == 1


def test_a_labeller_is_loaded_as_the_settings_say(tiny_bundle, astronaut):
    labeller = load(Settings(bundle=tiny_bundle.folder, heads="age"))
    labeller.warm_up()
    assert labeller.version == tiny_bundle.version
    assert labeller.manifest["crop"] == tiny_bundle.manifest["crop"]
    assert set(labeller.label([seen(astronaut)]).faces[0][0].attributes) == {"age", "age_range"}


def test_a_labeller_is_loaded_in_the_precision_that_the_settings_ask_for(tiny_bundle):
    settings = Settings(bundle=tiny_bundle.folder, precision="int8")
    with pytest.raises(BundleInvalid, match="activation ranges"):
        load(settings)
    save_manifest(
        tiny_bundle.folder, {**tiny_bundle.manifest, "activation_ranges": [[-1, 1], [0, 6]]}
    )
    exact = load(settings.model_copy(update={"precision": "float32"}))
    rounded = load(settings)
    size = exact.network.input_size
    crops = np.random.default_rng(1).integers(0, 256, (4, size, size, 3), np.uint8)
    ages = [labeller.read(list(crops))["age"] for labeller in (exact, rounded)]
    assert not np.array_equal(*ages)


def test_a_bundle_without_an_age_range_is_refused(tiny_bundle, detector):
    save_manifest(tiny_bundle.folder, {**tiny_bundle.manifest, "age_range": None})
    with pytest.raises(BundleInvalid, match="age_range"):
        make_labeller(open_bundle(tiny_bundle.folder), detector)


def labelled_with(tiny_bundle, detector, photo, **fields):
    save_manifest(tiny_bundle.folder, {**tiny_bundle.manifest, **fields})
    bundle = open_bundle(tiny_bundle.folder)
    return make_labeller(bundle, detector).label([seen(photo)]).faces[0][0]


def test_results_carry_calibrated_probabilities(tiny_bundle, detector, astronaut):
    plain = labelled_with(tiny_bundle, detector, astronaut).to_json()
    # The random network is all but certain: only high temperatures show.
    calibration = {"temperatures": {"gender": 40.0, "race": 40.0}}
    face = labelled_with(tiny_bundle, detector, astronaut, calibration=calibration).to_json()
    for name in ("gender", "race"):
        assert face[name]["label"] == plain[name]["label"]
    assert 0.5 <= face["gender"]["probability"] < 0.62 < plain["gender"]["probability"]
    spread, flat = (np.ptp(list(one["race"]["probabilities"].values())) for one in (plain, face))
    assert flat < spread / 3
    assert sum(face["race"]["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert face["age"] == plain["age"]


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    [({"gender": 1.0, "race": 1.0}, ["gender", "race"]), ({"gender": 0.0, "race": 1.0}, ["race"])],
)
def test_labels_under_the_bundles_threshold_are_called_uncertain(
    tiny_bundle, detector, astronaut, thresholds, expected
):
    calibration = {"uncertain_below": thresholds, "temperatures": {"gender": 40, "race": 40}}
    face = labelled_with(tiny_bundle, detector, astronaut, calibration=calibration)
    assert face.to_json()["uncertain"] == expected


@pytest.mark.parametrize(("bound", "marked"), [(0.89, True), (0.91, False)])
def test_a_face_that_may_be_none_is_marked_before_its_labels(
    tiny_bundle, detector, astronaut, bound, marked
):
    doubt = FaceProbability((0.0,) * len(EVIDENCE), math.log(bound / (1 - bound)))
    doubting = Detector(detector.networks, min_face=0.04, confidence=0.5, probability=doubt)
    face = make_labeller(tiny_bundle, doubting).label([seen(astronaut)]).faces[0][0].to_json()
    assert face["confidence"] == bound
    assert is_counted(face) is not marked
    assert face.get("uncertain") == (["face"] if marked else None)


def test_a_bundle_that_mirrors_reads_a_photo_and_its_mirror_image_alike(
    tiny_bundle, detector, astronaut
):
    def spread(**fields):
        save_manifest(tiny_bundle.folder, {**tiny_bundle.manifest, **fields})
        labeller = make_labeller(open_bundle(tiny_bundle.folder), detector, ("age",))
        crop = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
        one, other = (labeller.network.predict(x)["age"] for x in (crop, crop[:, :, ::-1]))
        return abs(float(one[0, 0] - other[0, 0]))

    assert spread() > 1e-3
    assert spread(mirror=True) < 1e-4


def test_a_bundle_without_an_age_head_needs_no_range(tmp_path, detector, astronaut):
    spec = NetworkSpec(backbone="tiny", input_size=32, heads=("race",), hidden_units=8)
    facts = {"created": "2025-01-31"}
    bundle = write_bundle(tmp_path / "races", build_network(spec), spec, UprightCrop(), facts)
    face = make_labeller(bundle, detector, ("age", "race")).label([seen(astronaut)]).faces[0][0]
    assert set(face.attributes) == {"race"}


SIDE = st.floats(-300, 600)


@given(SIDE, SIDE, SIDE, SIDE, st.integers(1, 300), st.integers(1, 300))
def test_a_clipped_box_always_lies_in_the_photo(x1, y1, x2, y2, height, width):
    x, y, box_width, box_height = clip_box((x1, y1, x2, y2), (height, width, 3))
    assert min(x, y) >= 0
    assert min(box_width, box_height) >= 1
    assert x + box_width <= width
    assert y + box_height <= height


def test_a_box_inside_is_only_rounded():
    assert clip_box((10.4, 20.6, 50.4, 80.4), (100, 100, 3)) == (10, 21, 40, 59)
