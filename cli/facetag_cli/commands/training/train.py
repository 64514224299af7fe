"""`facetag train`: fit the network on shards and write a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from facetag.heads import HEADS
from facetag_cli.params.fit_options import (
    BackboneWeights,
    cache_option,
    fit_options,
    given,
    precision_option,
)
from facetag_cli.params.shard_argument import ShardArgument, take_shards

if TYPE_CHECKING:
    from facetag_trainer.data.shard_sources import ShardSource


@click.command()
@click.argument("shards", nargs=-1, required=True, type=ShardArgument())
@click.option(
    "--run",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/train"),
    show_default=True,
    help="Folder of checkpoint, history and bundle; an unfinished run in it is gone on with.",
)
@cache_option
@click.option(
    "--backbone",
    type=click.Choice(["inceptionv3", "xception", "cnn", "tiny"]),
    default="inceptionv3",
    show_default=True,
    help="The network below the heads: cnn is small and has no weights to start from.",
)
@click.option(
    "--age-output",
    type=click.Choice(["value", "distribution"]),
    default="distribution",
    show_default=True,
    help="Whether the age head gives years, or a distribution over them whose mean is taken.",
)
@click.option(
    "--backbone-weights",
    type=BackboneWeights(),
    metavar="FILE|imagenet",
    help="Starting weights of the backbone: a .weights.h5 file without top, or those that Keras "
    "publishes; random if not given.",
)
@click.option(
    "--start",
    "starts",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A bundle of the same network, whose weights are fitted further; its age output and size "
    "may differ. Give several, fitted from one another, to start from their mean weights.",
)
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    metavar="BUNDLE",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A bundle whose answers on the training images are a part of what is fitted to; several "
    "are distilled into one network.",
)
@click.option(
    "--answers",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="RUN/answers.npz of another run with --teacher on the same shards, maybe on another "
    "machine: instead of --teacher, and without --fold.",
)
@click.option(
    "--teacher-share",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="Share of a target that is the teachers' answer; the rest is the label.",
)
@click.option(
    "--fold",
    metavar="NUMBER/OF",
    help="A part of the images, as 1/5, that is not fitted on: as a --teacher the bundle answers "
    "for that part alone, whose labels it does not know by heart. Teach with all folds' bundles.",
)
@precision_option
@click.option(
    "--heads",
    multiple=True,
    type=click.Choice([head.name for head in HEADS]),
    help="What is predicted; all three if not given.",
)
@click.option(
    "--frozen-layers",
    type=click.IntRange(0),
    help="Layers of the backbone that keep their starting weights; as in the paper if not given.",
)
@fit_options
@click.option(
    "--size", type=click.IntRange(75), default=160, show_default=True, help="Input pixels."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
def train(
    shards: "tuple[ShardSource, ...]",
    run: Path,
    cache: Path,
    backbone: str,
    age_output: Literal["value", "distribution"],
    backbone_weights: "Path | Literal['imagenet'] | None",
    starts: tuple[Path, ...],
    teachers: tuple[Path, ...],
    answers: Path | None,
    teacher_share: float,
    fold: str | None,
    precision: str,
    heads: tuple[str, ...],
    frozen_layers: int | None,
    size: int,
    seed: int,
    **options: Any,
) -> None:
    """Fit a network on training SHARDS and write RUN/bundle.

    A shard is a .tar, a path or s3://BUCKET/KEY, of images named AGE_GENDER_RACE_*.jpg (the UTKFace
    way), or of KEY.jpg + KEY.json pairs. Faces are cut out by the detector first, into a crop cache
    that is used again for the same shards; a tenth of them is held out for validation. A killed run
    goes on where it stopped: give the same options. RUN/plan.json states all of them; how the
    network that ships was fitted is in docs/experiments.md.

    \b
    Examples:
      facetag train part-1.tar part-2.tar --backbone-weights inception_v3.weights.h5
      facetag train part-1.tar --backbone cnn --heads race --balanced race
    """
    from facetag.bundles.folder import CARD
    from facetag.settings import load_settings
    from facetag.vision.bundle import open_bundle
    from facetag.vision.network.backbones import FROZEN_LAYERS
    from facetag.vision.network.spec import NetworkSpec
    from facetag_trainer.data.prepare import PreparePlan, prepare_cache
    from facetag_trainer.fit.fit_plan import FitPlan
    from facetag_trainer.fit.training_run import TrainingPlan, train_network
    from facetag_trainer.reports.card import write_card

    if teachers and answers:
        raise click.UsageError("Give --teacher or --answers: answers stand for teachers.")
    if answers and fold:
        raise click.UsageError("Give --fold without --answers: these are about all images.")
    left_out = _parse_fold(fold)
    settings = load_settings()
    paths = take_shards(shards, settings)
    prepared = PreparePlan(settings, size=size)
    with _bar("faces cut out") as (_, total, done):

        def on_cut(cut: int, of: int) -> None:
            total(of)
            done(cut)

        crops = prepare_cache(paths, cache, prepared, on_progress=on_cut)
        # A cache that exists already reports no progress.
        on_cut(len(crops.crops), len(crops.crops))
    if frozen_layers is None:
        # Random weights are worth nothing until they are fitted.
        frozen_layers = FROZEN_LAYERS[backbone] if backbone_weights or starts else 0
    opened = tuple(open_bundle(folder) for folder in starts)
    plan = TrainingPlan(
        spec=NetworkSpec(
            backbone=backbone,
            input_size=size,
            heads=tuple(head.name for head in HEADS if not heads or head.name in heads),
            age_output=age_output,
        ),
        fit=FitPlan(
            seed=seed,
            frozen_layers=frozen_layers,
            teacher_share=teacher_share if teachers or answers else 0.0,
            **given(options),
        ),
        backbone_weights=backbone_weights,
        start=opened[0] if opened else None,
        averaged=opened[1:],
        teachers=tuple(open_bundle(folder) for folder in teachers),
        answers=answers,
        fold=left_out,
        precision=precision,
    )
    with _bar("steps") as (tell, total, done):

        def on_teach(asked: int, of: int) -> None:
            tell("asking the teachers (images)")
            total(of)
            done(asked)

        def on_step(progress: Any) -> None:
            total(progress.steps * plan.fit.epochs)
            done(progress.epoch * progress.steps + progress.step)
            tell(
                f"epoch {progress.epoch + 1}/{plan.fit.epochs}, loss {progress.loss:.3f}, "
                f"{progress.images_per_s:.0f} images/s"
            )

        bundle = train_network(
            plan, crops, run, on_teach=on_teach, on_step=on_step, on_epoch=_print_epoch
        )
    (bundle.folder / CARD).write_text(write_card(bundle.manifest))
    click.echo(f"{bundle.folder}: version {bundle.version}")


def _parse_fold(text: str | None) -> Any:
    from facetag_trainer.data.splits import Fold

    try:
        return None if text is None else Fold.parse(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is none: write the first of five as 1/5.", param_hint="--fold"
        ) from error


def _print_epoch(row: dict[str, Any]) -> None:
    from rich import print as echo

    from facetag_trainer.evaluation.metrics import flatten

    figures = "  ".join(f"{name} {value:.4f}" for name, value in flatten(row).items())
    echo(f"epoch {row['epoch'] + 1} on validation: {figures}")


class _bar:  # noqa: N801
    """A progress bar, as a context: (tell, set the total, set what is done)."""

    def __init__(self, unit: str) -> None:
        from rich import progress

        self._progress = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn(unit),
            progress.TimeRemainingColumn(),
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> tuple[Any, Any, Any]:
        self._progress.start()
        update = self._progress.update
        return (
            lambda text: update(self._task, description=text),
            lambda total: update(self._task, total=total),
            lambda done: update(self._task, completed=done),
        )

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
