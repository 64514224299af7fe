import numpy as np

from facetag.quantification.collection import Collection
from facetag.quantification.composition_estimate import estimate_composition
from facetag.quantification.held_out_answers import Answers, HeldOut
from facetag.quantification.targets.requirements import Requirement, RequirementVerdict
from tests.unit.facetag.quantification.conftest import draw_faces

LABELS = ("white", "black", "asian", "indian", "other")


def collect(drawn, *, heads=("age", "gender", "race")):
    """Return a collection whose photos hold one of these faces each."""
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
