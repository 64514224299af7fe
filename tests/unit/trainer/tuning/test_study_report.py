"""The page about a study: it states its budget, needs nothing else, and names no folder."""

import json
from dataclasses import fields

import pytest

from facetag.vision.network.spec import NetworkSpec
from facetag_cli.commands.training.train import train
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.plan_file import read_plan
from facetag_trainer.tuning.search_space import Range, search_space
from facetag_trainer.tuning.study_report import (
    compose_command,
    describe_budget,
    describe_range,
    parameter_rows,
    train_option,
    write_tuning_report,
)
from facetag_trainer.tuning.study_results import Results, Tried

SPACE = (
    Range("learning_rate", "logarithmic", 1e-4, 1e-2),
    Range("batch_size", "choice", choices=(16, 32)),
)
PLAN = {
    "network": "cnn",
    "size": 96,
    "part": 0.25,
    "epochs": 3,
    "precision": "float32",
    "age_output": "distribution",
    "frozen_layers": 0,
    "starting_weights": None,
    "shards": [{"name": "part-1.tar", "sha256": "ab"}, {"name": "part-2.tar", "sha256": "cd"}],
}
VALUES = {"learning_rate": 0.00123, "batch_size": 16}
MEASURES = {"age_rmse": 9.13, "gender_accuracy": 0.801}
TRIALS = (
    Tried(0, "complete", 1.75, 1.75, 3, VALUES, MEASURES, None),
    Tried(1, "pruned", 2.5, 1.75, 1, VALUES, {}, None),
    Tried(2, "failed", None, 1.75, 1, VALUES, {}, None),
    Tried(3, "waiting", None, 1.75, 0, {}, {}, 2),
)


def results(trials=TRIALS, importances=None, plan=PLAN):
    return Results("cnn<study>", plan, SPACE, trials, importances, 12.3)


@pytest.fixture
def page(tmp_path):
    shares = {"learning_rate": 0.75, "batch_size": 0.25}
    path = write_tuning_report(tmp_path / "report", results(importances=shares))
    return path.read_text()


def test_the_page_states_budget_best_values_command_and_plan(page):
    assert "images of 96 pixels, 25% of the training images, 3 epochs" in page
    assert "1 complete and 1 pruned trials, 1 interrupted" in page
    assert "score 1.7500" in page
    assert "facetag train part-1.tar part-2.tar --plan plan.toml<" in page
    assert "learning_rate = 0.00123" in page
    assert "again of 2" in page


def test_the_plan_beside_the_page_is_one_that_train_reads(tmp_path):
    write_tuning_report(tmp_path, results())
    plan = read_plan(tmp_path / "plan.toml")
    assert plan.network == {"backbone": "cnn", "age_output": "distribution"}
    assert plan.fit == {"frozen_layers": 0, **VALUES}


def test_the_page_needs_nothing_else_and_reads_no_name_as_markup(page):
    assert page.count("data:image/svg+xml;base64,") == 2
    assert "http" not in page.replace("http-equiv", "")
    assert "cnn&lt;study&gt;" in page
    assert "<study>" not in page


def test_the_data_and_both_forms_of_the_pictures_lie_beside_it(tmp_path):
    write_tuning_report(tmp_path, results())
    data = json.loads((tmp_path / "tuning.json").read_text())
    assert data["best"]["value"] == 1.75
    assert [one["state"] for one in data["trials"]] == ["complete", "pruned", "failed", "waiting"]
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"history.svg", "history.png"}


def test_a_study_without_a_complete_trial_has_a_page_too(tmp_path):
    page = write_tuning_report(tmp_path, results(trials=TRIALS[1:])).read_text()
    assert "No trial is complete yet" in page
    assert "facetag train part-1" not in page
    assert not (tmp_path / "plan.toml").exists()


def test_importances_that_are_not_known_yet_are_promised(tmp_path):
    page = write_tuning_report(tmp_path, results()).read_text()
    assert "from 4 complete trials on" in page


def test_rows_give_range_default_best_and_importance():
    assert parameter_rows(results(importances={"learning_rate": 0.756}))[0] == {
        "name": "learning_rate",
        "range": "0.0001 to 0.01, logarithmic",
        "default": "0.0003",
        "best": "0.00123",
        "importance": "0.76",
        "option": "--learning-rate",
    }


def test_every_parameter_that_is_searched_names_what_train_takes():
    options = {name for param in train.params for name in param.opts}
    fit = {field.name for field in fields(FitPlan)}
    network = {field.name for field in fields(NetworkSpec)}
    for one in search_space("inceptionv3", given_weights=True):
        place = train_option(one.name).removesuffix(" in --plan")
        table, _, name = place.partition(".")
        assert place in options or name in {"fit": fit, "network": network}[table], one.name


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (SPACE[0], "0.0001 to 0.01, logarithmic"),
        (SPACE[1], "16, 32"),
        (Range("mixup", "linear", 0.0, 0.4), "0 to 0.4"),
    ],
)
def test_ranges_are_told_in_words(one, words):
    assert describe_range(one) == words


def test_the_budget_tells_the_starting_weights_and_one_epoch():
    start = {"file": "w.weights.h5", "sha256": "ab"}
    words = describe_budget({**PLAN, "epochs": 1, "starting_weights": start})
    assert "1 epoch, from the weights w.weights.h5" in words


def test_the_command_has_the_starting_weights_by_their_file_name():
    plan = {**PLAN, "starting_weights": {"file": "w.weights.h5", "sha256": "ab"}}
    command = compose_command(results(plan=plan), "tuned/plan.toml")
    assert command.endswith("--backbone-weights w.weights.h5 --plan tuned/plan.toml")


def test_there_is_no_command_without_a_complete_trial():
    assert compose_command(results(trials=())) == ""
