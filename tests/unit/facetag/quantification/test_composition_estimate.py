import numpy as np
import pytest

from facetag.errors import QuantificationUnavailable
from facetag.quantification.collection import Collection
from facetag.quantification.composition_estimate import estimate_composition
from facetag.quantification.held_out_answers import Answers, HeldOut
from facetag.quantification.targets.requirements import Requirement, RequirementVerdict
from tests.unit.facetag.quantification.conftest import draw_faces

LABELS = ("white", "black", "asian", "indian", "other")


def collect(drawn, *, heads=("age", "gender", "race"), reviewed=0):
    """Return a collection whose photos hold one of these faces each.

    Of the first `reviewed` faces, people gave the true gender and race, and took the age as right.
    """
    collection = Collection()
    for female, race, age in zip(
        drawn.answers.female, drawn.answers.race, drawn.answers.age, strict=True
    ):
        chances = dict(zip(LABELS, race.tolist(), strict=True))
        face = {
            "age": float(age),
            "gender": {
                "label": "female" if female >= 0.5 else "male",
                "probability": float(max(female, 1 - female)),
            },
            "race": {"label": max(chances, key=chances.get), "probabilities": chances},
        }
        face = {name: face[name] for name in heads}
        if collection.photos < reviewed:
            gender = ("male", "female")[drawn.codes["gender"][collection.photos]]
            label = LABELS[drawn.codes["race"][collection.photos]]
            face["gender"] = {"label": gender, "probability": 1.0}
            face["race"] = {"label": label, "probabilities": dict.fromkeys(LABELS, 0.0)}
            face["race"]["probabilities"][label] = 1.0
            face |= {"uncertain": [], "reviewed": {"verdict": "corrected"}}
        collection.add({"state": "tagged", "model": "v1", "faces": [face]})
    return collection


def test_missing_heads_leave_out_their_groupings(held_out):
    collection = collect(draw_faces(60, seed=1), heads=("gender",))
    estimate = estimate_composition(collection, held_out, rounds=5)
    assert [each.grouping.name for each in estimate.shares] == ["gender"]
    assert [shift.factor for shift in estimate.shifts] == ["gender"]


def test_labels_that_the_held_out_images_lack_are_not_estimated(held_out):
    known = HeldOut(
        Answers(held_out.answers.female, None, None), {"gender": held_out.codes["gender"]}
    )
    estimate = estimate_composition(collect(draw_faces(60, seed=1)), known, rounds=5)
    assert [each.grouping.name for each in estimate.shares] == ["gender"]


def test_children_of_one_group_are_no_shift_of_the_data(held_out):
    # The labeller is less sure of children, as the held-out ones show too.
    faces = held_out.codes["age"] == 0
    blurred = np.where(faces, 0.5 + (held_out.answers.female - 0.5) * 0.4, held_out.answers.female)
    unsure = HeldOut(Answers(blurred, held_out.answers.race, held_out.answers.age), held_out.codes)
    children = unsure.take(np.flatnonzero(faces)[:200])
    estimate = estimate_composition(collect(children), unsure, rounds=5)
    assert "gender" not in estimate.doubtful


def test_doubtful_shares_leave_a_requirement_open(held_out):
    blurred = collect(draw_faces(400, seed=2, blur=4.0))
    estimate = estimate_composition(blurred, held_out, rounds=10)
    assert "race" in estimate.doubtful
    assert estimate.judge(Requirement.parse("white <= 1")) is RequirementVerdict.OPEN


def test_labels_that_people_gave_are_taken_as_true(held_out):
    drawn = draw_faces(200, seed=9, female=0.2, races=(0.1, 0.1, 0.1, 0.1, 0.6))
    widths = []
    for reviewed in (0, 100, 200):
        estimate = estimate_composition(collect(drawn, reviewed=reviewed), held_out, rounds=30)
        gender, race, *_ = estimate.shares
        low, high = race.interval()
        widths.append((high - low).mean())
    truth = np.bincount(drawn.codes["race"], minlength=5) / 200
    assert ((low <= truth) & (truth <= high)).all()
    assert widths[0] > 1.2 * widths[1]
    assert race.estimated == pytest.approx(truth, abs=0.025)
    assert gender.estimated[1] == pytest.approx(drawn.codes["gender"].mean(), abs=0.01)
    assert widths[2] < 0.05


def test_faces_that_people_found_but_labelled_in_part_leave_the_rest_to_be_estimated(held_out):
    collection = collect(draw_faces(60, seed=1))
    face = {"gender": {"label": "female", "probability": 1.0}, "reviewed": {"verdict": "missed"}}
    collection.add({"state": "tagged", "model": "v1", "faces": [face]})
    assert estimate_composition(collection, held_out, rounds=5).shares[0].faces == 60
    assert collection.faces == 60


@pytest.mark.parametrize("faces", [0, 60])
@pytest.mark.parametrize("lacks", ["others", "old others", "old others but one"])
def test_a_reviewed_face_of_a_group_that_was_hardly_held_out_leaves_shares_finite(
    held_out, faces, lacks
):
    lacking = held_out.codes["race"] == 4
    if lacks != "others":
        lacking &= held_out.codes["age"] == 4
    if lacks == "old others but one":
        lacking[np.flatnonzero(lacking)[0]] = False
    known = held_out.take(np.flatnonzero(~lacking))
    collection = collect(draw_faces(max(faces, 1), seed=3).take(np.arange(faces)))
    chances = dict.fromkeys(LABELS, 0.0) | {"other": 1.0}
    face = {
        "age": 66.0,
        "gender": {"label": "female", "probability": 0.9},
        "race": {"label": "other", "probabilities": chances},
        "uncertain": [],
        "reviewed": {"verdict": "corrected"},
    }
    collection.add({"state": "tagged", "model": "v1", "faces": [face]})
    for shares in estimate_composition(collection, known, rounds=20).shares:
        assert shares.estimated.sum() == pytest.approx(1)
        assert np.isfinite(shares.interval()).all()


MALE = {"label": "male", "probability": 1.0}
WHITE = {"label": "white", "probabilities": dict.fromkeys(LABELS, 0.0) | {"white": 1.0}}


@pytest.mark.parametrize("verdict", ["corrected", "missed"])
def test_a_head_that_people_alone_labelled_in_part_is_left_out(held_out, verdict):
    collection = collect(draw_faces(60, seed=1), heads=("gender",))
    reviewed = {"verdict": verdict, "said": {"gender": "female"} if verdict == "corrected" else {}}
    face = {"gender": MALE, "race": WHITE, "uncertain": [], "reviewed": reviewed}
    collection.add({"state": "tagged", "model": "v1", "faces": [face]})
    (gender,) = estimate_composition(collection, held_out, rounds=5).shares
    assert (gender.grouping.name, gender.faces) == ("gender", 61)


def test_a_head_that_some_faces_lack_although_the_network_labelled_it_is_asked_for(held_out):
    collection = collect(draw_faces(60, seed=1))
    collection.add({"state": "tagged", "model": "v1", "faces": [{"gender": MALE}]})
    with pytest.raises(QuantificationUnavailable, match="61 faces have no label of race"):
        estimate_composition(collection, held_out, rounds=5)


def test_labels_that_people_gave_to_all_faces_make_no_shares_doubtful(held_out):
    # Photos that the network would read otherwise than the held-out ones.
    children = draw_faces(600, seed=2, blur=4.0)
    children = children.take(np.flatnonzero(children.answers.age < 6))
    assert estimate_composition(collect(children), held_out, rounds=5).doubtful
    seen = collect(children, reviewed=len(children))
    assert estimate_composition(seen, held_out, rounds=5).shifts == []
