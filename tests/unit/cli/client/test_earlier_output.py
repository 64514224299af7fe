import pytest

from facetag.results.name_escapes import MAX_NAME, dump_json
from facetag_cli.client.earlier_output import OPEN, EarlierOutput

KNOWN = {
    "job": "7",
    "runs": [{"place": 0, "first": 3, "number": 2}, {"place": 3, "first": 5, "number": 2}],
}


def write(path, *lines):
    path.write_text("".join(f"{dump_json(line)}\n" for line in lines), encoding="utf-8")
    return EarlierOutput.of(path, path.stat())


def line(name, **more):
    return {"image": name, "state": "tagged", "faces": [], **more}


def images(*names):
    return [{"key": "k", "name": name} for name in names]


def test_lines_of_known_photos_are_found_and_all_others_are_open(tmp_path):
    output = write(
        tmp_path / "labels.jsonl",
        line("a"),
        line("b", duplicate_of="a"),
        line("new"),
        line("caf\udce9"),
    )
    found = output.read(images("a", "b", "new", r"caf\xe9", "gone"), KNOWN)
    assert found == [line("a"), line("b"), OPEN, line(r"caf\xe9"), OPEN]
    assert list(found[0]) == ["image", "state", "faces"]


def test_a_file_that_was_changed_or_is_gone_is_not_read(tmp_path):
    path = tmp_path / "labels.jsonl"
    output = write(path, line("a"))
    write(path, line("a"), line("b"))
    with pytest.raises(ValueError, match="was changed"):
        output.read(images("a"), KNOWN)
    path.unlink()
    with pytest.raises(OSError, match="labels"):
        output.read(images("a"), KNOWN)


def test_photos_whose_long_names_are_cut_to_one_are_not_taken_for_one_another(tmp_path):
    end = "x" * MAX_NAME
    output = write(tmp_path / "labels.jsonl", line(f"a/{end}"), line(f"b/{end}"))
    with pytest.raises(ValueError, match="several lines of one name"):
        output.read(images(end, end), KNOWN)
