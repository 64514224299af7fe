"""Options of fitting win over the plan file, which is checked when it is read."""

import click
import pytest
from click.testing import CliRunner

from facetag_cli.params.fit_options import BackboneWeights, fit_options, given


@click.command()
@fit_options
@click.option("--weights", type=BackboneWeights())
def show(weights, plan, **options):
    click.echo(repr((weights, plan and plan.fit, given(**options))))


def run(*arguments):
    return CliRunner().invoke(show, [str(one) for one in arguments])


def test_options_that_are_not_given_are_left_to_the_plan():
    assert run().output == "(None, None, {})\n"


def test_options_and_the_values_of_a_plan_file_reach_the_command(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text('[fit]\nmixup = 0.0\nschedule = "plateau"\nbalanced = ["race"]\n')
    result = run("--plan", path, "--epochs", "3")
    stated = {"mixup": 0.0, "schedule": "plateau", "balanced": ["race"]}
    assert eval(result.output) == (None, stated, {"epochs": 3})


def test_a_wrong_plan_file_is_a_wrong_argument_that_names_the_key(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text("[fit]\nlabel_smoothing = 1.0\n")
    result = run("--plan", path)
    assert result.exit_code == 2
    assert "fit.label_smoothing: should be less than 1, but is 1.0" in result.output


@pytest.mark.parametrize(
    "wrong", [["--batch-size", "0"], ["--learning-rate", "0"], ["--plan", "nowhere.toml"]]
)
def test_wrong_options_are_refused(wrong):
    assert run(*wrong).exit_code == 2


def test_weights_are_a_file_that_exists_or_those_of_keras(tmp_path):
    path = tmp_path / "some.weights.h5"
    path.touch()
    assert "'imagenet'" in run("--weights", "imagenet").output
    assert "some.weights.h5" in run("--weights", path).output
    assert run("--weights", tmp_path / "none.h5").exit_code == 2
