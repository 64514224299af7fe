"""`facetag explore`: tables for people, json for programs, a page for both."""

import json

import pytest
from click.testing import CliRunner

from facetag_cli.main import main
from tests.unit.trainer.chips import write_tar
from tests.unit.trainer.explored_shards import write_mixed_shards


@pytest.fixture
def shards(tmp_path):
    return [str(path) for path in write_mixed_shards(tmp_path)]


def explore(*words):
    return CliRunner().invoke(main, ["explore", *map(str, words)])


def test_json_is_alone_on_the_output_and_tells_no_folder(shards, tmp_path):
    result = explore(*shards, "--format", "json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert (data["read"], data["kept"]) == (13, 6)
    assert [shard["name"] for shard in data["shards"]] == ["<first>.tar", "second.tar"]
    assert data["command"] == "facetag explore <first>.tar second.tar"
    assert str(tmp_path) not in result.stdout


def test_the_tables_tell_faults_ages_groups_and_crossings(shards):
    result = explore(*shards)
    assert result.exit_code == 0, result.output
    for words in (
        "Images read: 13; usable: 6.",
        "dropped, malformed name: 1",
        "dropped, identical images whose labels disagree: 2",
        "kept, without a label of gender: 1",
        "Apparent age of 5, in years: mean 38.1",
        "Groups of look-alikes: 1, with 2 images, at most 2 in one.",
    ):
        assert words in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("female, asian")]
    assert line.split()[2:] == ["0", "0", "0", "2", "0", "0", "0", "0", "0", "2"]
    assert "kept, without a label of race" not in result.stdout


def test_a_report_is_written_and_its_path_told(shards, tmp_path):
    result = explore(*shards, "--report", tmp_path / "explored", "--format", "json")
    assert result.exit_code == 0, result.output
    page = tmp_path / "explored" / "exploration.html"
    assert f"{page}\n" in result.stderr
    written = json.loads((tmp_path / "explored" / "exploration.json").read_text())
    assert written == json.loads(result.stdout)
    assert str(tmp_path) not in page.read_text()


def test_a_set_of_nothing_but_faults_is_a_result(tmp_path):
    shard = write_tar(tmp_path / "bad.tar", [("20_0_0_x.jpg", b"text")])
    result = explore(shard)
    assert result.exit_code == 0, result.output
    assert "Images read: 1; usable: 0." in result.stdout
    assert "dropped, undecodable image: 1" in result.stdout


def test_a_missing_shard_is_a_fault_that_names_it(tmp_path):
    result = explore(tmp_path / "nowhere.tar")
    assert result.exit_code == 1
    assert "nowhere.tar" in result.output
    assert "Traceback" not in result.output


def test_without_shards_nothing_is_explored():
    assert explore().exit_code == 2
