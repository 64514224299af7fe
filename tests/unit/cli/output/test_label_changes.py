from copy import deepcopy

from facetag.reviews.verdicts import labels_of
from facetag_cli.output.label_changes import NAMED, compare_lines
from tests.unit.cli.conftest import FACE, line_of


def another(face, **changes):
    return deepcopy(face) | changes


def of_version(version, lines):
    return [line | {"model": version} for line in lines]


def test_what_changed_is_counted_by_face_and_named_by_photo():
    old = of_version("v1", [line_of("a.jpg"), line_of("b.jpg", faces=[FACE, FACE])])
    male = another(FACE, gender={"label": "male", "probability": 0.6}, age=35.4)
    new = of_version("v2", [line_of("a.jpg"), line_of("b.jpg", faces=[FACE, male])])
    told = compare_lines(old, new).describe()
    assert "2 photos, labelled by v1 before and by v2 now: 1 changed" in told
    assert "gender changed for 1 of 3 faces (33.3%)" in told
    assert "race changed for 0 of 3 faces (0.0%)" in told
    assert "ages differ by 1.3 years on average, 4 at most" in told
    assert told.endswith("b.jpg: gender was female, now male")


def test_photos_with_another_number_of_faces_are_not_compared_face_by_face():
    old = of_version("v1", [line_of("a.jpg"), line_of("b.jpg", state="no_face")])
    new = of_version("v2", [line_of("a.jpg", faces=[FACE, FACE]), line_of("b.jpg")])
    comparison = compare_lines(old, new)
    assert (comparison.regrouped, comparison.faces) == (2, 0)
    assert "b.jpg: was no_face (0 faces), now tagged (1)" in comparison.describe()


def test_many_changed_photos_are_named_in_part():
    male = another(FACE, gender={"label": "male", "probability": 0.6})
    names = [f"{number}.jpg" for number in range(NAMED + 3)]
    told = compare_lines(
        [line_of(name) for name in names], [line_of(name, faces=[male]) for name in names]
    ).describe()
    assert told.endswith("... and 3 more")
    assert told.count("now male") == NAMED


def test_faces_without_a_head_have_nothing_to_compare_there():
    bare = {"box": [1, 2, 3, 4], "confidence": 0.9, "age": 30.0, "age_range": [25, 35]}
    line = line_of("a.jpg", faces=[bare])
    told = compare_lines([line], [line]).describe()
    assert "gender changed for 0 of 1 faces" in told
    assert "0 changed" in told


def test_photos_that_a_worker_labelled_before_it_switched_are_counted():
    old = of_version("v1", [line_of(name) for name in ("a.jpg", "b.jpg", "c.jpg")])
    new = [*of_version("v1", old[:2]), *of_version("v2", old[2:])]
    told = compare_lines(old, new, champion="v2").describe()
    assert "2 photos were not labelled by the champion v2" in told
    assert "champion" not in compare_lines(old, new[2:] * 3, champion="v2").describe()
    assert "champion" not in compare_lines(old, new).describe()


def reviewed(face, verdict, said, **changes):
    return another(face, **changes) | {
        "reviewed": {"by": ["anna"], "verdict": verdict, "said": said}
    }


MALE = {"label": "male", "probability": 1.0}


def test_what_people_corrected_is_no_change_by_the_network():
    said = labels_of(FACE)
    old = [
        line_of("a.jpg", faces=[reviewed(FACE, "corrected", said, gender=MALE, age=70.0)]),
        line_of("b.jpg", faces=[reviewed(FACE, "corrected", said | {"gender": "male"})]),
    ]
    new = [line_of("a.jpg", faces=[FACE]), line_of("b.jpg", faces=[FACE])]
    told = compare_lines(old, new).describe()
    assert "gender changed for 1 of 2 faces" in told
    assert "ages differ by 0.0 years on average" in told
    assert told.endswith("b.jpg: gender was male, now female")


def test_faces_that_people_drew_or_rejected_are_no_change_by_the_network():
    left, right = another(FACE, box=[1, 1, 9, 9]), another(FACE, box=[50, 1, 9, 9])
    drawn = reviewed(FACE, "missed", {}, box=[80, 1, 9, 9])
    old = [
        line_of("drawn.jpg", state="no_face", faces=[drawn]),
        line_of("rejected.jpg", faces=[]),
        line_of("one rejected.jpg", faces=[right, drawn]),
    ]
    new = [
        line_of("drawn.jpg", state="no_face"),
        line_of("rejected.jpg", faces=[left]),
        line_of("one rejected.jpg", faces=[left, right]),
    ]
    comparison = compare_lines(old, new, reviewed={line["image"] for line in old})
    assert (comparison.regrouped, comparison.changed, comparison.faces) == (0, 0, 1)
    lost = [line_of("one rejected.jpg", faces=[])]
    told = compare_lines(old[2:], lost, reviewed={"one rejected.jpg"}).describe()
    assert told.endswith("one rejected.jpg: was tagged (1 face), now tagged (0)")
