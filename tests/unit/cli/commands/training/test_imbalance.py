"""`facetag imbalance` from a shard to a table, with the features of a tiny network."""

import json

import pytest
from click.testing import CliRunner

from facetag_cli.main import main
from tests.unit.trainer.chips import chip_members, write_tar

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imbalance")
    write_tar(folder / "chips.tar", chip_members(90))
    return folder


def run(folder, command, *more):
    words = [command, str(folder / "chips.tar"), "--cache", str(folder / "cache"), *more]
    return CliRunner().invoke(main, words)


@pytest.fixture(scope="module")
def bundle(folder):
    path = folder / "balanced.toml"
    path.write_text('[fit]\nbalanced = ["race"]\n')
    plan = ("--backbone", "tiny", "--size", "75", "--epochs", "1", "--plan", str(path))
    trained = run(folder, "train", *plan, "--run", str(folder / "train"))
    assert trained.exit_code == 0, trained.output
    return folder / "train" / "bundle"


def compared(folder, bundle, *more, seeds=2):
    budget = ("--seeds", str(seeds), "--epochs", "8")
    start = ("--start", str(bundle), "--run", str(folder / "run"))
    return run(folder, "imbalance", *start, *budget, *more)


@pytest.fixture(scope="module")
def table(folder, bundle):
    return compared(folder, bundle, "--whole", str(bundle))


def test_a_table_compares_plain_weighted_and_smote_and_a_whole_network(table):
    assert table.exit_code == 0, table.output
    rows = [line.split("│")[1:4] for line in table.stdout.splitlines() if line.startswith("│")]
    named = [tuple(cell.strip() for cell in row) for row in rows if row[0].strip()]
    assert named[:4] == [
        ("head", "plain", "2"),
        ("head", "weighted", "2"),
        ("head", "smote", "2"),
        ("tiny of all heads, 75 pixels", "weighted", "1"),
    ]
    assert "macro F1" in table.stdout
    for label in ("white", "black", "asian", "indian", "other"):
        assert f"{label} (" in table.stdout


def test_what_is_gained_over_plain_is_told_below(table):
    _, gains = table.stdout.split("Means over the fits")
    assert gains.count("head") == 2
    assert "+0." in gains or "-0." in gains


def test_figures_and_picture_are_in_the_run_folder(table, folder):
    written = {path.name for path in (folder / "run").iterdir() if path.is_file()}
    assert written == {"imbalance.json", "recall.svg", "recall.png"}


def test_json_is_what_lies_in_the_folder_and_goes_on_with_the_fits(table, folder, bundle):
    more = compared(folder, bundle, "--format", "json", seeds=3)
    assert more.exit_code == 0, more.output
    stated = json.loads(more.stdout)
    assert stated == json.loads((folder / "run" / "imbalance.json").read_text())
    assert [row["fits"] for row in stated["rows"]] == [3, 3, 3]
    assert "Features:" not in more.stderr
    assert str(folder) not in more.stdout


def test_gender_is_compared_as_well(folder, bundle):
    shown = compared(folder, bundle, "--head", "gender", "--format", "json", "--quiet", seeds=1)
    assert shown.exit_code == 0, shown.output
    assert shown.stderr == ""
    first = json.loads(shown.stdout)["rows"][0]
    assert set(first["figures"]) == {"accuracy", "macro_f1", "recall_male", "recall_female"}


def test_features_of_two_networks_are_refused(folder, bundle, tmp_path):
    weights = tmp_path / "any.weights.h5"
    weights.touch()
    shown = compared(folder, bundle, "--backbone-weights", str(weights))
    assert shown.exit_code == 2
    assert "one network" in shown.output


@pytest.mark.parametrize(
    "wrong", [[], ["x.tar", "--head", "age"], ["x.tar", "--seeds", "0"], ["x.tar", "--epochs", "0"]]
)
def test_wrong_options_are_refused(wrong):
    assert CliRunner().invoke(main, ["imbalance", *wrong]).exit_code == 2
