import csv
import io

from facetag.results.csv_rows import COLUMNS, csv_header, csv_rows
from facetag.results.image_lines import (
    Face,
    age_fields,
    binary_field,
    categorical_field,
    image_line,
)

FACE = Face(
    (10, 20, 30, 40),
    0.99,
    {
        **age_fields(31.4, (26.2, 36.8)),
        "gender": binary_field(("male", "female"), 0.97),
        "race": categorical_field(
            ("white", "black", "asian", "indian", "other"), (0.02, 0.01, 0.93, 0.01, 0.03)
        ),
        "uncertain": ["gender", "race"],
    },
)


def line(name="a.jpg", state="tagged", error=None, faces=(), incomplete=False, duplicate_of=None):
    return image_line(
        name=name,
        state=state,
        error=error,
        model="v1",
        width=64,
        height=48,
        faces=faces,
        incomplete=incomplete,
        duplicate_of=duplicate_of,
    )


def read(lines):
    return list(csv.DictReader(io.StringIO(csv_header() + csv_rows(lines))))


def test_every_face_is_a_row_with_all_of_its_columns():
    rows = read([line(faces=[FACE, FACE])])
    assert [row["face"] for row in rows] == ["0", "1"]
    assert rows[0] == {
        "image": "a.jpg",
        "state": "tagged",
        "error_code": "",
        "error_message": "",
        "model": "v1",
        "width": "64",
        "height": "48",
        "face": "0",
        "x": "10",
        "y": "20",
        "face_width": "30",
        "face_height": "40",
        "confidence": "0.99",
        "age": "31.4",
        "age_low": "26",
        "age_high": "37",
        "gender": "female",
        "gender_probability": "0.97",
        "race": "asian",
        "race_white": "0.02",
        "race_black": "0.01",
        "race_asian": "0.93",
        "race_indian": "0.01",
        "race_other": "0.03",
        "uncertain": "gender race",
        "turned": "",
        "incomplete": "",
        "duplicate_of": "",
        "reviewed": "",
    }


def test_an_image_without_a_face_is_one_row_with_empty_face_columns():
    (row,) = read([line(state="failed", error=("truncated", "The file ends early."))])
    assert (row["error_code"], row["error_message"]) == ("truncated", "The file ends early.")
    assert {row[column] for column in COLUMNS[7:]} == {""}


def test_a_face_without_a_head_leaves_its_columns_empty():
    (row,) = read([line(faces=[Face((1, 2, 3, 4), 0.9, {"gender": FACE.attributes["gender"]})])])
    assert row["gender"] == "female"
    assert {row["age"], row["age_low"], row["race"], row["race_other"]} == {""}


def test_names_with_commas_quotes_and_line_ends_survive():
    name = 'a, "b"\nc é.jpg'
    (row,) = read([line(name=name)])
    assert row["image"] == name


def test_a_face_of_which_nothing_is_uncertain_leaves_that_cell_empty():
    sure = Face((1, 2, 3, 4), 0.9, {**FACE.attributes, "uncertain": []})
    (row,) = read([line(faces=[sure])])
    assert row["uncertain"] == ""


def test_an_incomplete_image_is_marked_in_each_of_its_rows():
    lines = [line(faces=[FACE, FACE], incomplete=True), line(state="no_face", incomplete=True)]
    assert [row["incomplete"] for row in read(lines)] == ["true"] * 3
    assert [one.get("incomplete") for one in [*lines, line()]] == [True, True, None]


def test_an_image_that_repeats_another_one_names_it():
    lines = [line(), line(duplicate_of="a.jpg")]
    assert [row["duplicate_of"] for row in read(lines)] == ["", "a.jpg"]
    assert ["duplicate_of" in one for one in lines] == [False, True]


def test_no_name_is_a_formula_or_two_rows():
    names = ["=1+1.jpg", "@a.jpg", "a\rb.jpg", "a\tb.jpg"]
    rows = read([line(name=name) for name in names])
    assert [row["image"] for row in rows] == [
        r"\x3d1+1.jpg",
        r"\x40a.jpg",
        r"a\x0db.jpg",
        r"a\x09b.jpg",
    ]


def test_heads_that_are_off_have_no_columns():
    lines = [line(faces=[FACE]), line("b.jpg", "no_face")]
    text = csv_header(["age"]) + csv_rows(lines, ["age"])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {"age", "age_low", "age_high"} <= rows[0].keys()
    assert not [name for name in rows[0] if name.startswith(("gender", "race"))]
    assert (rows[0]["age"], rows[0]["turned"]) == ("31.4", "")
    assert csv_rows(lines, []).splitlines()[1].count(",") == csv_header([]).count(",")


def test_names_are_no_formulas_unless_a_machine_reads_them():
    name, message = "=HYPERLINK(1)\t\x1b", "+1 is no photo"
    formula = line(name, "failed", error=("not_an_image", message), duplicate_of="@a")
    safe, raw = (
        next(csv.DictReader(io.StringIO(csv_header() + csv_rows([formula], raw=raw))))
        for raw in (False, True)
    )
    assert [safe[column][0] for column in ("image", "error_message", "duplicate_of")] == ["\\"] * 3
    assert [raw[column] for column in ("image", "error_message", "duplicate_of")] == [
        name,
        message,
        "@a",
    ]
