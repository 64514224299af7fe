import json
import os
import stat
from pathlib import Path

import pytest

from facetag_cli.exports.result_files import open_output, write_lines


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError), open_output(path) as file:
        file.writelines(["half", "\udce9"])
    assert path.read_text() == "before"
    with open_output(path) as file:
        file.write("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_is_for_its_owner_alone_and_an_old_one_keeps_its_mode(tmp_path):
    before = os.umask(0o027)
    try:
        with open_output(tmp_path / "new") as file:
            file.write("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    (tmp_path / "new").chmod(0o644)
    with open_output(tmp_path / "new") as file:
        file.write("y")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o644


def test_a_link_keeps_pointing_to_the_file(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with open_output(tmp_path / "link") as file:
        file.write("x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "x"


def test_a_device_is_written_to_and_not_replaced():
    with open_output(Path("/dev/null")) as file:
        file.write("x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_jsonl_keeps_the_fields_in_order_and_names_readable(tmp_path, make_line):
    path = tmp_path / "out"
    with open_output(path) as file:
        write_lines([make_line("ä b.jpg"), make_line("c\n.jpg", state="no_face")], "jsonl", file)
    first, second = path.read_text(encoding="utf-8").splitlines()
    assert list(json.loads(first)) == [
        "image",
        "state",
        "error",
        "model",
        "width",
        "height",
        "faces",
    ]
    assert "ä b.jpg" in first
    assert json.loads(second)["image"] == "c\n.jpg"


def test_csv_has_a_row_a_face_and_one_for_a_photo_without(tmp_path, make_line):
    two = make_line("two.jpg", faces=make_line("x")["faces"] * 2)
    with open_output(tmp_path / "out") as file:
        write_lines([two, make_line("none.jpg", state="no_face")], "csv", file)
    header, *rows = (tmp_path / "out").read_text().splitlines()
    assert header.startswith("image,state,")
    assert [row.split(",")[0] for row in rows] == ["two.jpg", "two.jpg", "none.jpg"]


def test_names_that_are_no_utf8_stay_apart_in_every_format(tmp_path, make_line):
    raws = [b"caf\xe9.jpg", b"caf\xea.jpg", rb"caf\xe9.jpg"]
    lines = [make_line(os.fsdecode(raw)) for raw in raws]
    texts = {}
    for form in ("jsonl", "csv", "table"):
        with open_output(tmp_path / form) as file:
            write_lines(lines, form, file)
        texts[form] = (tmp_path / form).read_text(encoding="utf-8")
    names = [json.loads(text)["image"] for text in texts["jsonl"].splitlines()]
    assert [os.fsencode(name) for name in names] == raws
    for form in ("csv", "table"):
        for shown in (r"caf\xe9.jpg", r"caf\xea.jpg", r"caf\\xe9.jpg"):
            assert shown in texts[form]
