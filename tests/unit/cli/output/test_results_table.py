import io

import pytest
from rich.cells import cell_len

from facetag_cli.output.results_table import face_text, keep_end, print_faces, print_table


def shown(lines, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    file = io.StringIO()
    print_table(lines, file)
    return file.getvalue().splitlines()


def test_every_photo_is_one_row_at_every_width(monkeypatch, make_line):
    lines = [
        make_line("album/" * 20 + "a.jpg"),
        make_line("b.jpg", state="no_face"),
        make_line("c.jpg", state="failed", code="truncated"),
        make_line("日本の写真" * 10 + ".jpg", faces=make_line("x")["faces"] * 9),
    ]
    for columns in (60, 80, 120, 300):
        rows = shown(lines, monkeypatch, columns)
        assert len(rows) == 5
        assert all(cell_len(row) <= columns for row in rows)
        assert [row.split()[0][-5:] for row in rows[1:]] == ["a.jpg", "b.jpg", "c.jpg", "真.jpg"]
        assert "no face" in rows[2]
        assert "failed" in rows[3]


def test_faces_reasons_and_counts_are_told(monkeypatch, make_line):
    lines = [
        make_line("a.jpg"),
        make_line("b.jpg", state="failed", code="truncated"),
        make_line("c.jpg", faces=make_line("x")["faces"] * 6),
    ]
    rows = shown(lines, monkeypatch, 160)
    assert rows[1].split() == ["a.jpg", "tagged", "1", "31", "female", "asian"]
    assert "truncated: It is truncated." in rows[2]
    assert "and 2 more" in rows[3]


def test_a_name_cannot_steer_the_terminal(monkeypatch, make_line):
    rows = shown([make_line("\x1b[31mred\n[bold].jpg")], monkeypatch, 120)
    assert len(rows) == 2
    assert "\\x1b[31mred\\n[bold].jpg" in rows[1]


def test_a_long_name_keeps_its_end():
    assert keep_end("folder/photo.jpg", 10) == "…photo.jpg"
    assert keep_end("photo.jpg", 10) == "photo.jpg"
    assert cell_len(keep_end("写真写真写真", 6)) <= 6


def test_attributes_that_the_network_does_not_predict_are_left_out():
    assert face_text({"box": [0, 0, 1, 1], "confidence": 1}) == "a face"
    assert face_text({"age": 30.6}) == "31"
    assert face_text({"gender": {"label": "male"}}) == "male"
    doubtful = {"age": 30.6, "gender": {"label": "male"}, "uncertain": ["gender", "race"]}
    assert face_text(doubtful) == "31 male?"


def test_a_single_photo_shows_how_sure_the_network_is(make_line, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    file = io.StringIO()
    print_faces(make_line("a.jpg"), file)
    title, _, row = file.getvalue().splitlines()
    assert title == "a.jpg: 1 face"
    assert "10, 20, 30, 40" in row
    assert "31 (26 to 37)" in row
    assert "female 97%" in row
    assert "asian 93%" in row


@pytest.mark.parametrize("state", ["tagged", "no_face"])
def test_a_single_photo_says_that_its_file_is_incomplete(make_line, state):
    file = io.StringIO()
    print_faces(make_line("a.jpg", state=state) | {"incomplete": True}, file)
    title = file.getvalue().splitlines()[0]
    assert title == f"a.jpg: {'1 face' if state == 'tagged' else 'no face'} · incomplete file"
