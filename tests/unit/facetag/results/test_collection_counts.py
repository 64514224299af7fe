import pytest

from facetag.results.collection_counts import (
    AGE_BINS,
    FACE_BINS,
    SCALES,
    age_bin,
    compose,
    face_bin,
)


def face(age=None, gender=None, race=None, confidence=0.99):
    value = {"box": [0, 0, 1, 1], "confidence": confidence}
    if age is not None:
        value |= {"age": age, "age_range": [age, age]}
    if gender is not None:
        value["gender"] = {"label": gender, "probability": 0.75}
    if race is not None:
        value["race"] = {"label": race, "probabilities": {race: 0.5}}
    return value


def line(*faces, state=None, code=None, name="a.jpg"):
    return {
        "image": name,
        "state": state or ("failed" if code else "tagged" if faces else "no_face"),
        "error": {"code": code, "message": "Why."} if code else None,
        "model": None if code else "net-1",
        "width": 1,
        "height": 1,
        "faces": list(faces),
    }


def test_photos_faces_and_states_are_counted():
    found = compose([line(face(), face()), line(), line(code="truncated"), line(face())])
    assert (found.photos, found.faces, found.failed) == (4, 3, 1)
    assert found.states == {"tagged": 2, "no_face": 1, "failed": 1}
    assert found.versions == {"net-1": 3}


def test_faces_of_a_photo_that_repeats_another_one_are_counted_once():
    repeated = line(face(age=30), name="b.jpg") | {"duplicate_of": "a.jpg"}
    found = compose([line(face(age=30)), repeated, line()])
    assert (found.photos, found.duplicates, found.faces) == (3, 1, 1)
    assert found.states == {"tagged": 2, "no_face": 1}
    assert sum(found.faces_per_photo) == 2


def test_a_face_that_may_be_none_is_counted_as_such_and_nowhere_else():
    possible = face(30, "male", "white", 0.7) | {"uncertain": ["face", "race"]}
    found = compose([line(possible), line(face(40, "female") | {"uncertain": ["race"]})])
    assert (found.photos, found.faces, found.possible) == (2, 1, 1)
    assert found.faces_per_photo[:2] == [1, 1]
    assert found.genders == {"female": 1}
    assert sum(found.confidence["face"]) == 2


def test_an_empty_collection_is_all_zeros():
    found = compose([])
    assert (found.photos, found.faces, found.median_age) == (0, 0, None)
    assert found.races.total() == 0


def test_the_pyramid_counts_by_gender_and_band():
    found = compose([line(face(9.9, "male"), face(10.0, "male"), face(104.0, "female"))])
    assert dict(zip(AGE_BINS, found.pyramid["male"], strict=True))["0–9"] == 1
    assert dict(zip(AGE_BINS, found.pyramid["male"], strict=True))["10–19"] == 1
    assert dict(zip(AGE_BINS, found.pyramid["female"], strict=True))["80+"] == 1
    assert sum(map(sum, found.pyramid.values())) == 3


def test_races_are_split_by_gender():
    found = compose([line(face(1, "male", "asian"), face(1, "female", "asian"))])
    assert found.races["asian"] == 2
    assert found.races_by_gender["female"]["asian"] == 1


def test_faces_without_an_attribute_do_not_count_for_it():
    found = compose([line(face(), face(age=30), face(gender="male"))])
    assert found.faces == 3
    assert found.ages.total() == 1
    assert found.genders.total() == 1
    assert sum(map(sum, found.pyramid.values())) == 0
    assert found.races.total() == 0


@pytest.mark.parametrize(("ages", "median"), [([5], 5), ([1, 90], 1), ([10, 30, 50, 70], 30)])
def test_the_median_is_the_middle_face_or_the_younger_of_two(ages, median):
    assert compose([line(*(face(age) for age in ages))]).median_age == median


def test_faces_in_a_photo_are_binned():
    bins = [FACE_BINS[face_bin(count)] for count in (0, 1, 4, 5, 9, 10, 99)]
    assert bins == ["0", "1", "4", "5–9", "5–9", "10+", "10+"]
    assert [AGE_BINS[age_bin(age)] for age in (0, 79.9, 80, 116)] == ["0–9", "70–79", "80+", "80+"]


def test_failed_and_waiting_photos_are_in_no_bin_of_faces():
    found = compose([line(code="truncated"), line(state="queued"), line(state="cancelled")])
    assert sum(found.faces_per_photo) == 0


def test_a_scale_puts_each_probability_between_its_edges():
    for scale in SCALES.values():
        for index in range(scale.bins):
            low, high = scale.edges(index)
            assert scale.bin_of(low) == index
            assert scale.bin_of((low + high) / 2) == index
        assert scale.bin_of(1.0) == scale.bins - 1
        assert scale.bin_of(0.0) == 0


def test_failures_are_grouped_by_code_and_their_names_bounded():
    lines = [line(code="truncated", name=f"{index}.jpg") for index in range(150)]
    found = compose([*lines, line(code="empty_file", name="e.jpg")])
    assert found.failures["truncated"].count == 150
    assert len(found.failures["truncated"].names) == 100
    assert found.failures["empty_file"].names == ["e.jpg"]
    assert found.failures["empty_file"].message == "Why."


def test_cells_cross_gender_race_and_band_and_count_doubts_of_distinct_photos():
    possible = face(12.9, "male", "asian") | {"uncertain": ["race"]}
    repeated = line(face(13.0, "male", "asian")) | {"duplicate_of": "b.jpg"}
    found = compose([line(possible, face(age=60)), line(face(13.0, "male", "asian")), repeated])
    assert found.cells == {
        ("male", "asian", "0–12"): 1,
        ("male", "asian", "13–19"): 1,
        (None, None, "60+"): 1,
    }
    assert found.uncertain_cells.total() == 1
