"""`facetag train` from a shard to a bundle that labels a photo, with a tiny backbone."""

import json

import pytest
from click.testing import CliRunner
from skimage import data

from facetag_cli.main import main
from tests.unit.trainer.chips import chip_members, encode, make_chip, write_tar

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    members = [*chip_members(36), ("bad-name.jpg", encode(make_chip(90)))]
    write_tar(folder / "chips.tar", members)
    return folder


def arguments(folder, *more):
    return [
        "train",
        str(folder / "chips.tar"),
        *("--run", str(folder / "run"), "--cache", str(folder / "cache")),
        *("--backbone", "tiny", "--size", "75", "--epochs", "2", "--batch-size", "8"),
        *more,
    ]


@pytest.fixture(scope="module")
def trained(folder):
    return CliRunner().invoke(main, arguments(folder))


def test_train_says_what_it_measured_and_where_the_bundle_is(trained, folder):
    assert trained.exit_code == 0, trained.output
    assert "epoch 1 on validation" in trained.output
    assert "epoch 2 on validation" in trained.output
    manifest = json.loads((folder / "run" / "bundle" / "bundle.json").read_text())
    assert f"version {manifest['version']}" in trained.output


def test_the_bundle_labels_faces_in_photos(trained, folder):
    from facetag.settings import Settings
    from facetag.vision.inference.cpu_slots import CpuSlots
    from facetag.vision.labeller import load_labeller
    from facetag.vision.photo import whole_picture

    labeller = load_labeller(Settings(bundle=folder / "run" / "bundle"), CpuSlots.for_one_caller())
    (faces,) = labeller.label([whole_picture(data.astronaut(), 1000)]).faces
    assert len(faces) == 1
    assert set(faces[0].attributes) == {"age", "age_range", "gender", "race", "uncertain"}


def test_the_manifest_counts_what_was_fitted_and_dropped(trained, folder):
    manifest = json.loads((folder / "run" / "bundle" / "bundle.json").read_text())
    samples = manifest["samples"]
    assert samples["training"] + samples["validation"] == 36
    assert samples["dropped"] == {"malformed name": 1}
    assert [shard["name"] for shard in manifest["shards"]] == ["chips.tar"]
    # Nothing is frozen where the backbone starts from random weights.
    assert manifest["training"]["fit"]["frozen_layers"] == 0


def test_the_bundle_has_a_card_that_names_no_folder_of_the_machine(trained, folder):
    card = (folder / "run" / "bundle" / "card.md").read_text()
    assert "apparent" in card
    assert "random weights" in card
    assert str(folder) not in card


def test_the_same_command_goes_on_with_the_finished_run(trained, folder):
    again = CliRunner().invoke(main, arguments(folder))
    assert again.exit_code == 0, again.output
    assert "on validation" not in again.output
    assert "36 faces cut out" in again.output


def test_another_plan_in_the_same_run_folder_is_a_fault_that_says_what_to_do(trained, folder):
    other = CliRunner().invoke(main, arguments(folder, "--seed", "2"))
    assert other.exit_code == 1
    assert "another --run folder" in other.output


def test_a_head_alone_is_fitted_with_its_rarer_labels_weighing_more(folder):
    run = folder / "race-only"
    plan = folder / "balanced.toml"
    plan.write_text('[fit]\nbalanced = ["race"]\nmixup = 0\nepochs = 7\n')
    more = ("--heads", "race", "--plan", str(plan), "--run", str(run))
    result = CliRunner().invoke(main, arguments(folder, *more))
    assert result.exit_code == 0, result.output
    manifest = json.loads((run / "bundle" / "bundle.json").read_text())
    assert manifest["network"]["heads"] == ["race"]
    assert manifest["training"]["fit"]["balanced"] == ["race"]
    assert manifest["training"]["fit"]["mixup"] == 0
    # The command line wins over the file.
    assert manifest["training"]["fit"]["epochs"] == 2


def test_a_missing_shard_is_a_fault_that_names_it(tmp_path):
    result = CliRunner().invoke(
        main, ["train", str(tmp_path / "nowhere.tar"), "--cache", str(tmp_path / "cache")]
    )
    assert result.exit_code == 1
    assert "nowhere.tar" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "wrong",
    [
        ["--backbone", "vgg"],
        ["--epochs", "0"],
        ["--size", "10"],
        ["--seed", "-1"],
        ["--plan", "nowhere.toml"],
    ],
)
def test_wrong_options_are_refused(wrong):
    assert CliRunner().invoke(main, ["train", "x.tar", *wrong]).exit_code == 2


def test_a_fold_that_is_none_is_refused_in_words(folder, tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text('fold = "6/5"')
    result = CliRunner().invoke(main, arguments(folder, "--plan", str(plan)))
    assert result.exit_code == 2
    assert 'write the first of five as "1/5"' in " ".join(result.output.split())


def test_answers_stand_for_teachers_and_are_about_all_images(trained, folder, tmp_path):
    bundle = str(folder / "run" / "bundle")
    plan = tmp_path / "plan.toml"
    for text, other in (("", ["--teacher", bundle]), ('fold = "1/5"', [])):
        plan.write_text(f'answers = "answers.npz"\n{text}')
        result = CliRunner().invoke(main, arguments(folder, "--plan", str(plan), *other))
        assert result.exit_code == 2
        assert "answers" in result.output
