"""Options of the commands that fit a network, and the plan file that takes all the others."""

from pathlib import Path
from typing import Any

import click

from facetag_cli.params.number_words import FiniteRange
from facetag_cli.params.options import Decorated

IMAGENET = "imagenet"

cache_option = click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/cache"),
    show_default=True,
    help="Folder of the crop caches, which all commands that fit share.",
)
precision_option = click.option(
    "--precision",
    type=click.Choice(["float32", "mixed_bfloat16"]),
    default="float32",
    show_default=True,
    help="Precision of the computation; mixed_bfloat16 is faster on processors that support it.",
)


class BackboneWeights(click.Path):
    """A file of weights, or `imagenet` for those that Keras publishes."""

    name = "weights"

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return `imagenet` as it is, and anything else as a path that exists."""
        return IMAGENET if value == IMAGENET else super().convert(value, param, ctx)


class PlanFile(click.Path):
    """A plan file, which is read and checked when the command line is parsed."""

    name = "plan"

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the values of the file as a `StatedPlan`; fails with the keys that are wrong."""
        from facetag.errors import PlanInvalid
        from facetag_trainer.fit.plan_file import read_plan

        try:
            path: Any = super().convert(value, param, ctx)
            return read_plan(path)
        except PlanInvalid as error:
            self.fail(str(error), param, ctx)


def fit_options(command: Decorated) -> Decorated:
    """Add --plan and the options of fitting that win over it; those not given are None."""
    for option in (
        click.option(
            "--learning-rate",
            type=FiniteRange(0, min_open=True),
            help="Peak of the learning rate.",
        ),
        click.option("--batch-size", type=click.IntRange(1), help="Images per step."),
        click.option("--epochs", type=click.IntRange(1), help="Passes over the training images."),
        click.option(
            "--plan",
            type=PlanFile(),
            metavar="FILE.toml",
            help="File with further options of the fit, such as mixup or the learning rate's "
            "schedule. trainer/facetag_trainer/plan-files.md lists its keys with their defaults. "
            "Options on the command line win over the file.",
        ),
    ):
        command = option(command)
    return command


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value not in (None, ())}
