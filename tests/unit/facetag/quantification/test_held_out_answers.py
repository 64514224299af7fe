import numpy as np
import pytest

from facetag.errors import QuantificationUnavailable
from facetag.heads import HELD_OUT_ANSWERS
from facetag.quantification.collection import gather
from facetag.quantification.held_out_answers import HeldOut, to_manifest


def face(female=0.9, age=30.0):
    label = "female" if female >= 0.5 else "male"
    races = {"white": 0.6, "black": 0.1, "asian": 0.1, "indian": 0.1, "other": 0.1}
    return {
        "age": age,
        "gender": {"label": label, "probability": max(female, 1 - female)},
        "race": {"label": "white", "probabilities": races},
    }


def line(*faces, state="tagged", model="v1", **fields):
    return {"state": state, "model": model, "faces": list(faces), **fields}


def test_a_manifest_keeps_what_was_said_of_fully_labelled_images():
    labels = {"gender": np.array([0.0, 1.0, np.nan]), "age": np.array([5.0, 70.0, 30.0])}
    outputs = {
        "gender": np.array([[0.12346], [0.9], [0.5]]),
        "age": np.array([[6.04], [68.0], [30.0]]),
    }
    kept = HeldOut.from_manifest({"version": "v1", HELD_OUT_ANSWERS: to_manifest(labels, outputs)})
    assert kept.answers.female.tolist() == [0.1235, 0.9]
    assert kept.answers.race is None
    assert kept.codes["age"].tolist() == [0, 4]


def test_a_bundle_without_answers_says_how_to_get_them():
    with pytest.raises(QuantificationUnavailable, match="facetag calibrate"):
        HeldOut.from_manifest({"version": "v1"})


def test_duplicates_and_failed_photos_count_for_nothing():
    collection = gather(
        [
            line(face(0.9), face(0.2)),
            line(face(0.3), duplicate_of="a.jpg"),
            line(state="failed", model=None),
            line(state="no_face"),
            line(face(0.7, age=64.2)),
        ]
    )
    answers, photos = collection.answers()
    assert answers.female.round(2).tolist() == [0.9, 0.2, 0.7]
    assert answers.counted_codes()["age"].tolist() == [2, 2, 4]
    assert photos.tolist() == [0, 0, 1]
    assert (collection.photos, collection.duplicates, collection.version) == (3, 1, "v1")


def test_labels_of_two_bundles_are_refused():
    with pytest.raises(QuantificationUnavailable, match="one bundle"):
        _ = gather([line(face()), line(face(), model="v2")]).version


def test_faces_without_a_label_that_others_have_are_refused_with_the_reason():
    collection = gather([line(face()), line(face() | {"race": None})])
    with pytest.raises(QuantificationUnavailable, match="1 of 2 faces have no label of race"):
        collection.answers()


def test_a_collection_without_faces_says_that_there_is_nothing_to_estimate():
    with pytest.raises(QuantificationUnavailable, match="nothing to estimate"):
        gather([line(state="no_face")]).answers()
