import pytest

from facetag.reviews.verdicts import Opinion, Verdict, settle

SAID = {
    "age": 31.4,
    "age_range": [26, 37],
    "gender": {"label": "female", "probability": 0.7},
    "race": {"label": "asian", "probabilities": {"asian": 0.6, "white": 0.4}},
    "uncertain": ["race"],
}


def opinion(who, verdict=Verdict.CORRECTED, **labels):
    return Opinion(who, verdict, **labels)


def test_what_one_reviewer_corrects_counts_and_what_was_said_is_kept():
    face = settle(SAID, [opinion("anna", race="white", ages=(40, 49))])
    assert face["race"]["label"] == "white"
    assert face["race"]["probabilities"]["white"] == 1.0
    assert face["gender"] == SAID["gender"]
    assert (face["age"], face["age_range"]) == (44.5, [40, 49])
    assert face["uncertain"] == []
    assert face["reviewed"] == {
        "by": ["anna"],
        "verdict": "corrected",
        "said": {"age": 31.4, "gender": "female", "race": "asian"},
    }
    assert SAID["race"]["label"] == "asian"


def test_an_accepted_face_is_no_longer_uncertain():
    face = settle(SAID, [opinion("anna", Verdict.ACCEPTED)])
    assert face["uncertain"] == []
    assert face["race"] == SAID["race"]
    assert face["reviewed"]["verdict"] == "accepted"


def test_where_reviewers_are_split_the_network_keeps_its_label_and_it_is_uncertain():
    face = settle(SAID, [opinion("anna", gender="male"), opinion("ben", Verdict.ACCEPTED)])
    assert face["gender"]["label"] == "female"
    assert face["uncertain"] == ["gender"]
    assert face["reviewed"]["verdict"] == "disputed"
    third = settle(
        SAID,
        [
            opinion("anna", gender="male"),
            opinion("ben", Verdict.ACCEPTED),
            opinion("cleo", gender="male"),
        ],
    )
    assert third["gender"] == {"label": "male", "probability": 1.0}


def test_a_face_that_is_none_is_left_out_unless_as_many_see_one():
    no_face = opinion("anna", Verdict.NO_FACE)
    assert settle(SAID, [no_face]) is None
    face = settle(SAID, [no_face, opinion("ben", Verdict.ACCEPTED)])
    assert face["reviewed"]["verdict"] == "disputed"
    assert face["uncertain"] == ["face"]
    third = opinion("cleo", Verdict.ACCEPTED)
    assert settle(SAID, [no_face, opinion("ben", Verdict.ACCEPTED), third])["uncertain"] == []


def test_what_nobody_can_tell_is_uncertain():
    face = settle(SAID, [opinion("anna", Verdict.CANNOT_TELL)])
    assert face["uncertain"] == ["age", "gender", "race"]
    assert face["gender"] == SAID["gender"]


def test_a_missed_face_has_the_labels_that_were_given():
    face = settle({}, [opinion("anna", Verdict.MISSED, gender="female", ages=(8, 8))])
    assert (face["gender"]["label"], face["age"]) == ("female", 8.0)
    assert "race" not in face
    assert face["reviewed"]["verdict"] == "missed"


ACCEPTED = {"verdict": Verdict.ACCEPTED}
CANNOT_TELL = {"verdict": Verdict.CANNOT_TELL}


def settle_age(*said):
    face = settle(SAID, [opinion(f"reviewer {number}", **one) for number, one in enumerate(said)])
    return face["age"], "age" in face["uncertain"], face["reviewed"]["verdict"]


@pytest.mark.parametrize(
    "said",
    [
        [ACCEPTED, {"ages": (60, 60)}],
        [{"ages": (10, 10)}, {"ages": (70, 70)}],
        [ACCEPTED, CANNOT_TELL],
        [{"ages": (60, 60)}, CANNOT_TELL],
        [ACCEPTED, {"ages": (60, 60)}, CANNOT_TELL],
        [ACCEPTED, ACCEPTED, {"ages": (60, 60)}, {"ages": (65, 65)}],
    ],
)
def test_an_age_on_which_reviewers_are_split_stays_the_networks_and_is_uncertain(said):
    assert settle_age(*said) == (31.4, True, "disputed")


def test_an_age_that_most_cannot_tell_stays_the_networks_and_is_uncertain():
    for one in (ACCEPTED, {"ages": (60, 60)}):
        age, uncertain, _ = settle_age(one, CANNOT_TELL, CANNOT_TELL, CANNOT_TELL)
        assert (age, uncertain) == (31.4, True)


def test_ages_of_one_band_agree_and_those_of_most_reviewers_are_averaged():
    assert settle_age(ACCEPTED, ACCEPTED, {"ages": (60, 60)}) == (31.4, False, "corrected")
    assert settle_age(ACCEPTED, {"ages": (35, 36)}) == (33.5, False, "corrected")
    face = settle(
        SAID,
        [
            opinion("anna", ages=(60, 69)),
            opinion("ben", ages=(72, 72)),
            opinion("cleo", Verdict.ACCEPTED),
        ],
    )
    assert (face["age"], face["age_range"], face["uncertain"]) == (68.2, [60, 72], [])
