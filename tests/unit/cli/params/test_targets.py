"""Files that results are appended to."""

import click
import pytest

from facetag.results.name_escapes import dump_json
from facetag_cli.params.targets import appended_target


def accepts(path):
    """Return whether lines may be appended to a file, which stays as it is."""
    before = path.read_bytes()
    try:
        return appended_target(None, None, path) == path
    except click.BadParameter:
        return False
    finally:
        assert path.read_bytes() == before


@pytest.fixture
def file(tmp_path):
    return tmp_path / "labels.jsonl"


def test_a_file_of_results_is_gone_on_with_even_where_a_kill_cut_its_last_line(file, make_line):
    line = dump_json(make_line("a.jpg"))
    for text in ("", f"{line}\n", f"{line}\n\n", line[:40], f"{line}\n{line[:4]}", line):
        file.write_text(text)
        assert accepts(file), text


@pytest.mark.parametrize(
    "text",
    ["words", "words\n", '{"my": 1}', '{"my": 1}\n', "[1]\n", "1\n", "\0\0", "words\n\n"],
)
def test_somebodys_own_data_are_refused(file, make_line, text):
    for before in ("", dump_json(make_line("a.jpg")) + "\n"):
        file.write_text(before + text)
        assert not accepts(file)


def test_a_new_file_and_what_is_no_file_are_accepted(file, tmp_path):
    assert appended_target(None, None, file) == file
    assert not file.exists()
    assert appended_target(None, None, tmp_path) == tmp_path


@pytest.mark.parametrize("name", ["mine.csv", "notes.txt", "labels", "labels.json"])
def test_a_file_of_another_kind_is_refused(tmp_path, name):
    with pytest.raises(click.BadParameter, match=r"ends in \.jsonl or \.ndjson"):
        appended_target(None, None, tmp_path / name)
