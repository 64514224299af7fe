"""Options of the commands that fit: for each field of a plan, and what they share beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

IMAGENET = "imagenet"

SHARE = click.FloatRange(0, 1, max_open=True)
POSITIVE = click.FloatRange(0, min_open=True)
NOT_NEGATIVE = click.FloatRange(0)
Command = Callable[..., Any]

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
    help="What is computed in; mixed_bfloat16 is faster where the processor has it.",
)

FIT_OPTIONS: tuple[tuple[str, Any, str], ...] = (
    ("epochs", click.IntRange(1), "Times that every image is fitted on."),
    ("batch_size", click.IntRange(1), "Images in a step."),
    ("learning_rate", POSITIVE, "The peak of the rate."),
    ("schedule", click.Choice(["cosine", "plateau"]), "How the rate falls from its peak."),
    ("plateau_epochs", click.IntRange(1), "Epochs without a better score until a plateau lowers."),
    ("plateau_factor", SHARE, "What a plateau multiplies the rate by."),
    ("keep", click.Choice(["best", "last"]), "Which epoch's weights: best on validation, or last."),
    ("stop_after", click.IntRange(1), "Epochs without a better score that end the fit early."),
    ("weight_decay", NOT_NEGATIVE, "Of AdamW; biases and batch norms are left out."),
    ("warm_up_steps", click.IntRange(0), "Steps over which the rate rises to its peak."),
    ("age_weight", NOT_NEGATIVE, "Weight of the squared age error, in units of 50 years."),
    ("gender_weight", NOT_NEGATIVE, "Weight of the loss of apparent gender."),
    ("race_weight", NOT_NEGATIVE, "Weight of the loss of apparent race."),
    ("age_loss", click.Choice(["mse", "huber"]), "Of an age head that gives years."),
    ("huber_years", POSITIVE, "Error beyond which the Huber loss grows linearly."),
    ("distribution_weight", POSITIVE, "Cross entropy's weight where the age is a distribution."),
    ("label_smoothing", SHARE, "Share of a gender's or race's target spread over all labels."),
    ("mixup", NOT_NEGATIVE, "Alpha of the Beta distribution by which images are mixed; 0: none."),
    ("averaging", SHARE, "Decay a step of the weights' running average, which is kept; 0: none."),
    ("checkpoint_steps", click.IntRange(1), "Steps between two checkpoints."),
)
"""A field of `FitPlan`, its type on the command line, and what it is."""


class BackboneWeights(click.Path):
    """A file of weights, or the word for those that Keras publishes."""

    name = "weights"

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the word as it is, and anything else as a path that exists."""
        return IMAGENET if value == IMAGENET else super().convert(value, param, ctx)


def fit_options(command: Command) -> Command:
    """Give a command the options of FIT_OPTIONS; what is not given is None: left to the plan."""
    for name, kind, text in reversed(FIT_OPTIONS):
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, name, type=kind, help=text)(command)
    return click.option(
        "--balanced",
        type=click.Choice(["gender", "race"]),
        multiple=True,
        help="A head whose rarer labels weigh more; may be given twice.",
    )(command)


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given, as fields of `FitPlan`."""
    return {name: value for name, value in options.items() if value not in (None, ())}
