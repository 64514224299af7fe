"""`facetag tune` from a shard to a report, with a tiny network and studies in a file."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import optuna
import pytest
from click.testing import CliRunner

from facetag_cli.main import main
from tests.unit.trainer.chips import chip_members, write_tar

pytestmark = pytest.mark.timeout(400)
ROOT = Path(__file__).resolve().parents[5]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune")
    write_tar(folder / "chips.tar", chip_members(60))
    return folder


def storage(folder):
    return f"sqlite:///{folder}/studies.db"


def arguments(folder, *more, epochs=2):
    return [
        "tune",
        str(folder / "chips.tar"),
        *("--network", "tiny", "--size", "75", "--part", "1", "--epochs", str(epochs)),
        *("--run", str(folder / "run"), "--cache", str(folder / "cache")),
        *("--storage", storage(folder), *more),
    ]


def tune(folder, *more, **budget):
    return CliRunner().invoke(main, arguments(folder, *more, **budget))


def the_study(folder):
    (name,) = optuna.get_all_study_names(storage(folder))
    return optuna.load_study(study_name=name, storage=storage(folder))


@pytest.fixture(scope="module")
def tuned(folder):
    return tune(folder, "--trials", "2", "--report", str(folder / "report"))


def test_tune_runs_its_trials_and_prints_what_to_do_with_them(tuned, folder):
    assert tuned.exit_code == 0, tuned.output
    assert len(the_study(folder).trials) == 2
    assert "images of 75 pixels, 100% of the training images, 2 epochs" in tuned.stderr
    assert "Trial 0, epoch 2/2: score" in tuned.stderr
    assert "Trials: 2 complete" in tuned.stdout
    assert f"facetag train chips.tar --plan {folder}/report/plan.toml" in tuned.stdout


def test_the_printed_command_is_one_that_train_takes(tuned, folder):
    (line,) = [line for line in tuned.stdout.splitlines() if line.startswith("facetag train")]
    words = line.split()[1:]
    shown = CliRunner().invoke(main, [*words, "--epochs", "0"])
    # Only the added option is refused.
    assert "'--epochs'" in shown.output
    assert shown.exit_code == 2
    plan = tomllib.loads((folder / "report" / "plan.toml").read_text())
    assert plan["network"]["backbone"] == "tiny"
    assert plan["network"].keys() >= {"hidden_units", "dropout"}
    assert "learning_rate" in plan["fit"]


def test_without_a_report_the_plan_itself_is_printed(tuned, folder):
    shown = tune(folder, "--report-only")
    assert "# Save as plan.toml\n[network]\n" in shown.stdout
    assert "facetag train chips.tar --plan plan.toml" in shown.stdout


def test_the_first_trial_has_the_values_of_train(tuned, folder):
    first = the_study(folder).trials[0]
    assert (first.params["batch_size"], first.params["hidden_units"]) == (32, 256)


def test_the_study_is_named_after_its_budget(tuned, folder):
    assert the_study(folder).study_name.startswith("tiny-75px-1-2ep-")


def test_the_report_is_a_page_with_its_data(tuned, folder):
    page = (folder / "report" / "tuning.html").read_text()
    assert "data:image/svg+xml" in page
    assert str(folder) not in page
    data = json.loads((folder / "report" / "tuning.json").read_text())
    assert len(data["trials"]) == 2
    assert str(folder) not in json.dumps(data)


def test_the_same_command_goes_on_and_counts_what_was_run_before(tuned, folder):
    again = tune(folder, "--trials", "2")
    assert again.exit_code == 0, again.output
    assert "Trial" not in again.stderr
    assert "Trials: 2 complete" in again.stdout


@pytest.mark.parametrize("option", [["--report-only"], ["--trials", "0"]])
def test_a_report_is_made_of_a_study_without_running_anything(tuned, folder, tmp_path, option):
    shown = tune(folder, *option, "--report", str(tmp_path))
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "tuning.html").exists()
    assert len(the_study(folder).trials) == 2


def test_a_report_needs_no_shards_where_the_study_is_named(tuned, folder):
    name = the_study(folder).study_name
    shown = CliRunner().invoke(
        main, ["tune", "--report-only", "--study", name, "--storage", storage(folder)]
    )
    assert shown.exit_code == 0, shown.output
    assert f"Study {name}" in shown.stdout


def test_another_budget_in_a_named_study_is_a_fault_that_says_what_to_do(tuned, folder):
    name = the_study(folder).study_name
    other = tune(folder, "--study", name, "--trials", "3", epochs=3)
    assert other.exit_code == 1
    assert "give another --study" in other.output


def test_a_report_of_a_study_that_is_not_there_is_a_fault(folder):
    shown = tune(folder, "--report-only", "--study", "nowhere")
    assert shown.exit_code == 1
    assert "no study nowhere" in shown.output


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["--report-only"],
        ["x.tar", "--network", "vgg"],
        ["x.tar", "--size", "10"],
        ["x.tar", "--part", "0"],
        ["x.tar", "--epochs", "0"],
        ["x.tar", "--trials", "-1"],
        ["x.tar", "--backbone-weights", "nowhere.weights.h5"],
    ],
)
def test_wrong_options_are_refused(wrong):
    assert CliRunner().invoke(main, ["tune", *wrong]).exit_code == 2


def test_ctrl_c_ends_it_cleanly_and_leaves_the_trial_to_be_tried_again(folder, tmp_path):
    url = f"sqlite:///{tmp_path}/studies.db"
    words = arguments(folder, "--storage", url, "--trials", "1", epochs=500)
    process = subprocess.Popen(
        [sys.executable, "-m", "facetag_cli.main", *words],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if "epoch 2/500: score" in line:
            break
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors[-2000:]
    assert "queued" in errors
    assert "Traceback" not in errors
    assert "1 failed, 1 waiting" in output
    (name,) = optuna.get_all_study_names(url)
    first, again = optuna.load_study(study_name=name, storage=url).trials
    assert again.params == first.params
