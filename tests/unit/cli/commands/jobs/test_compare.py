import csv
import json
import random

import pytest

from facetag.bundles.bundle_folder import DEFAULT_FOLDER, read_manifest
from facetag.heads import RACE
from facetag.quantification.targets.reference_shares import read_reference

MANIFEST = read_manifest(DEFAULT_FOLDER)
REFERENCES = DEFAULT_FOLDER.parents[1] / "docs" / "references"


def write_results(
    path, make_line, *, female, count=300, version=MANIFEST["version"], ages=range(200)
):
    """Write results of faces that are like the held-out ones of these ages, women by this share."""
    rng = random.Random(path.name)
    kept = MANIFEST["held_out_answers"]
    places = {
        code: [
            place
            for place, one in enumerate(kept["labels"]["gender"])
            if one == code and kept["labels"]["age"][place] in ages
        ]
        for code in (0, 1)
    }
    (face,) = make_line("x")["faces"]
    with path.open("w", encoding="utf-8") as file:
        for index in range(count):
            place = rng.choice(places[int(rng.random() < female)])
            chance = kept["answers"]["female"][place]
            chances = dict(zip(RACE.labels, kept["answers"]["race"][place], strict=True))
            labelled = face | {
                "gender": {
                    "label": "female" if chance >= 0.5 else "male",
                    "probability": max(chance, 1 - chance),
                },
                "race": {"label": max(chances, key=chances.get), "probabilities": chances},
                "age": kept["answers"]["age"][place],
            }
            line = make_line(f"{index}.jpg", faces=[labelled]) | {"model": version}
            file.write(json.dumps(line) + "\n")
    return path


@pytest.fixture
def women(tmp_path, make_line):
    return write_results(tmp_path / "women.jsonl", make_line, female=0.9)


@pytest.fixture
def men(tmp_path, make_line):
    return write_results(tmp_path / "men.jsonl", make_line, female=0.1)


def test_two_collections_differ_surely_where_they_do(facetag, women, men):
    answer = facetag("compare", men, women, "--format", "json")
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)["differences"]
    assert found["gender"]["female"]["sure"]
    assert 0.6 < found["gender"]["female"]["difference"] < 1
    assert found["gender"]["female"]["interval"][0] > 0.5
    few, many = found["gender"]["female"]["counted_faces"]
    assert few < 60 < 240 < many
    assert found["gender"]["female"]["estimated"][1] > 0.8
    assert found["race by age"]["asian, 60+"]["too_few"]


def test_a_collection_does_not_differ_from_itself_and_tables_say_what_is_compared(facetag, men):
    answer = facetag("compare", men, men)
    assert "A: 300 faces in 300 distinct photos" in answer.stdout
    assert "B - A" in answer.stdout
    assert "Gender by race" in answer.stdout
    assert "more in B" not in answer.stdout


def test_ages_of_a_school_are_called_uncertain_instead_of_stated(
    facetag, men, tmp_path, make_line, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    path = tmp_path / "school.jsonl"
    school = write_results(path, make_line, female=0.5, ages=range(9, 19))
    said = facetag("compare", school, men).stdout
    assert "A: Estimates by age are uncertain" in said
    assert "B: Estimates by age" not in said
    row = next(row for row in said.splitlines() if row.startswith("│ 13–19"))
    assert row.count("uncertain") == 2, "the share of the first collection, and the difference"
    assert row.count("%") <= 1
    assert "…" not in said
    # Of genders alone, ages make nothing uncertain.
    reference = tmp_path / "reference.csv"
    reference.write_text("group,share\nfemale,50%\n")
    answer = facetag("compare", school, "--reference", reference, "--format", "json")
    assert json.loads(answer.stdout)["collections"][0]["warnings"] == []


def test_a_reference_tells_over_and_under_representation(facetag, women, tmp_path):
    reference = tmp_path / "reference.csv"
    reference.write_text("group,share,source\nfemale,50%,a target\nage 60+,0.9,a target\n")
    answer = facetag("compare", women, "--reference", reference, "--format", "json")
    found = json.loads(answer.stdout)["differences"]
    assert list(found) == ["gender", "age"]
    assert list(found["age"]) == ["60+"]
    assert found["gender"]["female"]["difference"] > 0.2
    assert found["age"]["60+"]["difference"] < -0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("group,share\nwomen,0.5\n", "Line 2 of the reference: 'women' is not a group"),
        ("group,share\n", "states no share"),
    ],
)
def test_a_file_that_is_no_reference_is_refused_with_its_line(facetag, women, tmp_path, text, said):
    reference = tmp_path / "reference.csv"
    reference.write_text(text)
    answer = facetag("compare", women, "--reference", reference)
    assert answer.exit_code == 1
    assert said in answer.output


def test_what_has_nothing_to_compare_is_refused(facetag, women, tmp_path):
    ages, empty, reference = (tmp_path / name for name in ("ages.jsonl", "no.jsonl", "ages.csv"))
    lines = [json.loads(text) for text in women.read_text().splitlines()]
    kept = ("box", "confidence", "age", "age_range")
    for line in lines:
        line["faces"] = [{name: face[name] for name in kept} for face in line["faces"]]
    ages.write_text("".join(json.dumps(line) + "\n" for line in lines))
    empty.write_text("")
    reference.write_text("group,share\nfemale,50%\n")
    answer = facetag("compare", ages, "--reference", reference)
    assert answer.exit_code == 1
    assert "A and the reference state no groups in common" in answer.output
    assert "no.jsonl holds no results" in facetag("compose", empty).output


def test_tables_fit_a_narrow_terminal(facetag, men, women, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    answer = facetag("compare", men, women)
    assert "A share" in answer.stdout
    assert "…" not in answer.stdout
    tops = [row for row in answer.stdout.splitlines() if row.startswith("┏")]
    assert all(row.endswith("┓") for row in tops), "no column is cut off"


def test_a_collection_is_compared_with_one_thing(facetag, women):
    assert facetag("compare", women).exit_code == 2
    assert facetag("compare", women, women, "--reference", women).exit_code == 2


def test_a_bundle_without_held_out_answers_says_how_to_get_them(facetag, tmp_path, make_line):
    old = write_results(tmp_path / "a.jsonl", make_line, female=0.5, count=3, version="net-1")
    answer = facetag("compare", old, old)
    assert answer.exit_code == 1
    assert "keeps no answers about held-out images" in answer.output
    assert "facetag calibrate" in answer.output


@pytest.mark.parametrize(
    ("bounds", "status"),
    [(["female>=0.4"], 0), (["female>=0.4", "female<=0.2"], 4), (["female>=0.9"], 5)],
)
def test_compose_exits_by_what_the_photos_tell(facetag, women, bounds, status):
    required = [part for bound in bounds for part in ("--require", bound)]
    answer = facetag("compose", women, *required)
    assert answer.exit_code == status, answer.output


@pytest.mark.parametrize(
    "damage",
    [{"faces": None}, {"faces": ["x"]}, {"faces": [{"age": "old"}]}, {"faces": [{"race": 1}]}],
)
def test_a_damaged_result_is_named_by_its_line(facetag, tmp_path, make_line, damage):
    path = tmp_path / "damaged.jsonl"
    lines = [make_line("a.jpg"), make_line("b.jpg") | damage]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    answer = facetag("compose", path)
    assert answer.exit_code == 1
    assert "Line 2 of" in answer.output


@pytest.mark.parametrize("path", sorted(REFERENCES.glob("*.csv")), ids=lambda path: path.stem)
def test_the_reference_files_of_docs_can_be_read_and_name_their_source(path):
    assert read_reference(path.read_bytes())
    with path.open(encoding="utf-8", newline="") as file:
        assert all(row["source"] for row in csv.DictReader(file))
