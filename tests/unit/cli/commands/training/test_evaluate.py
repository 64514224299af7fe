"""`facetag evaluate`: json for programs, a table for people, figures for the card."""

import json

import keras
import pytest
from click.testing import CliRunner

from facetag.vision.bundle import open_bundle
from facetag.vision.bundle_writer import write_bundle
from facetag.vision.crop import UprightCrop
from facetag.vision.network.attributes import build_network
from facetag.vision.network.spec import NetworkSpec
from facetag_cli.main import main
from tests.unit.trainer.chips import chip_members, write_tar


@pytest.fixture
def folder(tmp_path):
    keras.utils.set_random_seed(7)
    spec = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)
    facts = {
        "created": "2025-01-31",
        "age_range": {"coverage": 0.8, "knots": [20], "below": [3], "above": [4]},
        "shards": [{"name": "part.tar", "sha256": "ab" * 32}],
        "samples": {"training": 3, "validation": 1, "dropped": {}},
        "metrics": {"validation": {"age": {"rmse": 9.0}}},
        "training": {"starting_weights": None},
    }
    write_bundle(tmp_path / "bundle", build_network(spec), spec, UprightCrop(), facts)
    write_tar(tmp_path / "test.tar", [*chip_members(4), ("bad-name.jpg", b"x")])
    return tmp_path


def evaluate(folder, *more):
    command = ["evaluate", str(folder / "test.tar"), "--model", str(folder / "bundle"), *more]
    return CliRunner().invoke(main, command)


def test_json_is_the_contracts_and_alone_on_the_output(folder):
    result = evaluate(folder, "--format", "json")
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout)
    assert table["n"] == 4
    assert list(table)[:4] == ["n", "age", "gender", "race"]
    assert list(table["age"])[:3] == ["rmse", "mae", "cs5"]
    assert set(table["gender"]) >= {"accuracy", "f1", "precision", "recall", "auc"}
    assert list(table["race"])[:2] == ["accuracy", "macro_f1"]


def test_the_table_sets_the_measures_beside_the_papers(folder):
    result = evaluate(folder, "--crop", "bare")
    assert result.exit_code == 0, result.output
    for words in ("RMSE (years)", "8.70", "0.9239", "0.8307"):
        assert words in result.stdout
    assert "4 images; no face found in 4; 1 without a valid label are not counted." in result.stdout


def test_a_shard_of_one_gender_prints_a_table_and_valid_json(folder):
    women = [member for member in chip_members(6) if member[0].split("_")[1] == "1"]
    write_tar(folder / "test.tar", women)
    table = json.loads(evaluate(folder, "--crop", "bare", "--format", "json").stdout)
    assert table["gender"]["auc"] is None
    result = evaluate(folder, "--crop", "bare")
    assert result.exit_code == 0, result.output
    assert "–" in result.stdout


def test_card_records_the_figures_and_the_command_but_no_folder(folder):
    result = evaluate(folder, "--format", "json", "--card")
    assert result.exit_code == 0, result.output
    bundle = open_bundle(folder / "bundle")
    measured = bundle.manifest["metrics"]["test"]
    assert measured["table"] == json.loads(result.stdout)
    assert measured["command"] == "facetag evaluate test.tar"
    assert bundle.manifest["metrics"]["validation"] == {"age": {"rmse": 9.0}}
    card = (folder / "bundle" / "card.md").read_text()
    assert "Output of `facetag evaluate test.tar` on" in card
    assert str(folder) not in card
    bundle.load_network()


def test_figures_of_bare_crops_are_not_for_the_card(folder):
    before = (folder / "bundle" / "bundle.json").read_text()
    assert evaluate(folder, "--crop", "bare", "--card").exit_code == 2
    assert (folder / "bundle" / "bundle.json").read_text() == before


def test_a_tampered_bundle_is_a_fault_without_a_traceback(folder):
    path = folder / "bundle" / "network.weights.h5"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    result = evaluate(folder)
    assert result.exit_code == 1
    assert "SHA-256 differs" in result.output
    assert "Traceback" not in result.output


def test_near_twins_of_training_shards_are_left_out_beside_the_whole(folder):
    write_tar(folder / "part.tar", chip_members(3))
    result = evaluate(
        folder, "--crop", "bare", "--format", "json", "--twins-of", str(folder / "part.tar")
    )
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout)
    assert table["n"] == 4
    assert table["without_twins"]["n"] == 1


def test_where_every_image_has_a_twin_only_the_whole_is_measured(folder):
    twins = ("--twins-of", str(folder / "test.tar"))
    result = evaluate(folder, "--crop", "bare", *twins)
    assert result.exit_code == 0, result.output
    assert "4 images have a near twin" in result.stdout
    table = evaluate(folder, "--crop", "bare", "--format", "json", *twins).stdout
    assert "without_twins" not in json.loads(table)


def test_a_report_is_written_beside_what_is_printed(folder):
    result = evaluate(
        folder, "--crop", "bare", "--format", "json", "--report", str(folder / "measured")
    )
    assert result.exit_code == 0, result.output
    data = json.loads((folder / "measured" / "report.json").read_text())
    assert data["table"] == json.loads(result.stdout)
    assert data["command"] == "facetag evaluate test.tar --crop bare"
    page = (folder / "measured" / "report.html").read_text()
    assert str(folder) not in page


def test_a_precision_that_the_bundle_does_not_allow_is_refused_with_what_to_do(folder):
    result = evaluate(folder, "--precision", "int8")
    assert result.exit_code == 1
    assert "facetag calibrate" in result.output
