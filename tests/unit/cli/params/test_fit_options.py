"""The options of fitting: each is a field of the plan, and what is not given is left to it."""

import dataclasses

import click
import pytest
from click.testing import CliRunner

from facetag_cli.params.fit_options import FIT_OPTIONS, BackboneWeights, fit_options, given
from facetag_trainer.fit.fit_plan import FitPlan


@click.command()
@fit_options
@click.option("--weights", type=BackboneWeights())
def show(weights, **options):
    click.echo(repr((weights, given(options))))


def run(*arguments):
    return CliRunner().invoke(show, arguments)


def test_every_option_is_a_field_of_the_plan():
    fields = {field.name for field in dataclasses.fields(FitPlan)}
    assert {name for name, *_ in FIT_OPTIONS} | {"balanced"} <= fields


def test_every_field_that_is_a_number_or_a_choice_has_an_option():
    elsewhere = {"seed", "frozen_layers", "jitter", "teacher_share"}
    fields = {field.name for field in dataclasses.fields(FitPlan)}
    assert fields - elsewhere == {name for name, *_ in FIT_OPTIONS} | {"balanced"}


def test_what_is_not_given_is_left_to_the_plan():
    assert run().output == "(None, {})\n"


def test_what_is_given_reaches_the_plan():
    result = run("--mixup", "0", "--schedule", "plateau", "--stop-after", "5", "--balanced", "race")
    assert eval(result.output) == (
        None,
        {"mixup": 0.0, "schedule": "plateau", "stop_after": 5, "balanced": ("race",)},
    )


@pytest.mark.parametrize(
    "wrong", [["--label-smoothing", "1"], ["--learning-rate", "0"], ["--balanced", "age"]]
)
def test_what_no_plan_can_hold_is_refused(wrong):
    assert run(*wrong).exit_code == 2


def test_weights_are_a_file_that_exists_or_those_of_keras(tmp_path):
    path = tmp_path / "some.weights.h5"
    path.touch()
    assert "'imagenet'" in run("--weights", "imagenet").output
    assert "some.weights.h5" in run("--weights", str(path)).output
    assert run("--weights", str(tmp_path / "none.h5")).exit_code == 2
