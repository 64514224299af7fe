"""`facetag calibrate`: an existing bundle gets its calibration from shards or their crop cache."""

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
from facetag_trainer.data.shards import shard_digest
from tests.unit.trainer.chips import chip_members, write_tar


@pytest.fixture
def folder(tmp_path):
    shard = write_tar(tmp_path / "part.tar", chip_members(36))
    keras.utils.set_random_seed(7)
    spec = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)
    facts = {
        "created": "2025-01-31",
        "age_range": {"coverage": 0.8, "knots": [20], "below": [3], "above": [4]},
        "shards": [{"name": "part.tar", "sha256": shard_digest(shard)}],
        "samples": {"training": 32, "validation": 4, "dropped": {}},
        "metrics": {"validation": {"age": {"rmse": 9.0}}},
        "training": {"starting_weights": None},
    }
    write_bundle(tmp_path / "bundle", build_network(spec), spec, UprightCrop(), facts)
    return tmp_path


def calibrate(folder, *more):
    command = ["calibrate", *more, "--model", str(folder / "bundle")]
    return CliRunner().invoke(main, [*command, "--cache", str(folder / "cache")])


def test_a_bundle_is_calibrated_from_its_shards_then_from_their_cache_alone(folder):
    first = calibrate(folder, str(folder / "part.tar"))
    assert first.exit_code == 0, first.output
    manifest = json.loads((folder / "bundle" / "bundle.json").read_text())
    assert set(manifest["calibration"]["temperatures"]) == {"gender", "race"}
    assert "temperature of race" in first.output
    assert "## Calibration" in (folder / "bundle" / "card.md").read_text()
    (folder / "part.tar").unlink()
    assert calibrate(folder).output.splitlines()[-3:] == first.output.splitlines()[-3:]
    assert json.loads((folder / "bundle" / "bundle.json").read_text()) == manifest
    assert calibrate(folder, "--mirror", "unsure").exit_code == 0
    assert set(open_bundle(folder / "bundle").mirror.below) == {"gender", "race"}


def test_without_shards_or_their_cache_the_user_is_told_what_to_give(folder):
    before = (folder / "bundle" / "bundle.json").read_text()
    result = calibrate(folder)
    assert result.exit_code == 1
    assert "give these shards" in result.output
    assert (folder / "bundle" / "bundle.json").read_text() == before
