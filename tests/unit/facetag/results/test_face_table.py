import io
import itertools
import json

import pyarrow.parquet as pq
import pytest

from facetag.errors import FacetagError
from facetag.results.csv_rows import COLUMNS
from facetag.results.face_table import write_parquet
from facetag.results.image_lines import Face, image_line
from facetag.results.photo_results import PhotoResults

ATTRIBUTES = {
    "age": 31.4,
    "age_range": [26, 37],
    "gender": {"label": "female", "probability": 0.97},
    "race": {"label": "asian", "probabilities": {"white": 0.02, "black": 0.98}},
    "uncertain": ["age", "race"],
}


def line(name, *faces, error=None):
    state = "failed" if error else "tagged" if faces else "no_face"
    size = (None, None) if error else (640, 480)
    model = None if error else "net-1"
    return image_line(
        name=name,
        state=state,
        error=error,
        model=model,
        width=size[0],
        height=size[1],
        faces=faces,
    )


FACES = (Face((1, 2, 3, 4), 0.998, ATTRIBUTES), Face((5, 6, 7, 8), 0.7, {}))
LINES = [line("a.jpg", *FACES), line("b.jpg"), line("c.jpg", error=("truncated", "Cut off."))]


def test_parquet_has_a_row_per_face_and_says_how_it_came_about():
    file = io.BytesIO()
    write_parquet(iter(LINES), file)
    table = pq.read_table(file)
    assert table.column_names == list(COLUMNS)
    rows = table.to_pylist()
    assert [row["image"] for row in rows] == ["a.jpg", "a.jpg", "b.jpg", "c.jpg"]
    assert (rows[0]["x"], rows[0]["age"], rows[0]["race_white"]) == (1, 31.4, 0.02)
    assert (rows[0]["uncertain"], rows[1]["face"], rows[2]["face"]) == ("age race", 1, None)
    assert rows[3]["error_code"] == "truncated"
    assert str(table.schema.field("gender").type).startswith("dictionary<values=string")
    facts = json.loads(pq.read_metadata(file).metadata[b"facetag"])
    assert facts["photos_by_network"] == {"net-1": 2}
    assert facts["photos"] == 3
    assert facts["program"].startswith("facetag ")


def test_a_table_holds_every_name_as_text_and_none_escaped_as_a_formula():
    names = ["-a.jpg", "=b;+c.jpg", "caf\udce9.jpg", "z\nz.jpg"]
    last = line("zz.jpg") | {"duplicate_of": names[2]}
    table = PhotoResults([*map(line, names), last]).to_arrow()
    assert table["image"].to_pylist() == [*names[:2], r"caf\xe9.jpg", names[3], "zz.jpg"]
    assert table["duplicate_of"].to_pylist() == [None] * 4 + [r"caf\xe9.jpg"]


def test_labels_are_computed_when_they_are_asked_for_and_then_kept():
    asked = []

    def lines():
        for one in LINES:
            asked.append(one["image"])
            yield one

    labels = PhotoResults(lines())
    assert asked == []
    assert next(iter(labels))["image"] == "a.jpg"
    assert asked == ["a.jpg"]
    assert len(labels) == 3
    assert list(labels) == LINES
    assert asked == ["a.jpg", "b.jpg", "c.jpg"]


def test_a_data_frame_keeps_whole_numbers_whole_where_some_are_missing():
    frame = PhotoResults(LINES).to_pandas()
    assert frame["x"].dtype == "Int32"
    assert frame["x"].tolist()[:2] == [1, 5]
    assert frame["gender"].dtype == "category"
    assert len(frame) == PhotoResults(LINES).to_arrow().num_rows == 4
    assert len(PhotoResults([]).to_pandas()) == 0


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), FacetagError("no space is left")])
def test_results_that_were_stopped_are_never_taken_for_all(fault):
    def lines():
        yield from LINES[:2]
        raise fault

    labels = PhotoResults(lines())
    with pytest.raises(type(fault)):
        len(labels)
    assert [line["image"] for line in itertools.islice(labels, 2)] == [
        line["image"] for line in LINES[:2]
    ]
    for take_all in (len, list, PhotoResults.to_pandas, PhotoResults.to_arrow):
        with pytest.raises(FacetagError, match="first 2 photos alone"):
            take_all(labels)
