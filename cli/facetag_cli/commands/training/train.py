"""`facetag train`: fit the network on shards and write a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from facetag.heads import HEADS
from facetag.vision.network.spec import BACKBONES
from facetag_cli.params.fit_options import BackboneWeights, cache_option, fit_options, given
from facetag_cli.params.options import quiet_option
from facetag_cli.params.shard_argument import ShardArgument, take_shards

if TYPE_CHECKING:
    from facetag.vision.network.spec import NetworkSpec
    from facetag_cli.reporter import Reporter
    from facetag_trainer.data.shard_sources import ShardSource
    from facetag_trainer.fit.plan_file import StatedPlan
    from facetag_trainer.fit.training_run import TrainingPlan


@click.command()
@click.argument("shards", nargs=-1, required=True, type=ShardArgument())
@click.option(
    "--backbone",
    type=click.Choice(BACKBONES),
    show_default="inceptionv3",
    help="The network below the heads; cnn is small and has no published weights to start from.",
)
@click.option(
    "--backbone-weights",
    type=BackboneWeights(),
    metavar="FILE|imagenet",
    help="Starting weights of the backbone: a .weights.h5 file without top, or the ImageNet "
    "weights that Keras publishes. Random if not given.",
)
@click.option(
    "--start",
    "starts",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Bundle of the same network whose weights are fitted further; its age output and input "
    "size may differ. Repeat the option to start from the mean weights of bundles that were "
    "fitted from one another.",
)
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    metavar="BUNDLE",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Bundle whose answers on the training images are part of the targets (distillation). "
    "Repeat the option to distil several bundles into one network.",
)
@click.option(
    "--heads",
    multiple=True,
    type=click.Choice([head.name for head in HEADS]),
    help="Attribute that the network predicts; all three if not given. May be repeated.",
)
@click.option(
    "--size", type=click.IntRange(75), show_default="160", help="Side of the input in pixels."
)
@fit_options
@click.option(
    "--precision",
    type=click.Choice(["float32", "mixed_bfloat16"]),
    show_default="float32",
    help="Precision of the computation; mixed_bfloat16 is faster on processors that support it.",
)
@click.option("--seed", type=click.IntRange(0), show_default="1", help="Seed of all random draws.")
@click.option(
    "--run",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/train"),
    show_default=True,
    help="Folder of checkpoint, history and bundle. An unfinished run in it is resumed.",
)
@cache_option
@quiet_option
def train(
    shards: "tuple[ShardSource, ...]",
    backbone: str | None,
    backbone_weights: "Path | Literal['imagenet'] | None",
    starts: tuple[Path, ...],
    teachers: tuple[Path, ...],
    heads: tuple[str, ...],
    size: int | None,
    plan: "StatedPlan | None",
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    precision: str | None,
    seed: int | None,
    run: Path,
    cache: Path,
    quiet: bool,
) -> None:
    """Fit a network on training SHARDS and write RUN/bundle.

    A shard is a .tar, given as a path or as s3://BUCKET/KEY. Its images are named
    AGE_GENDER_RACE_*.jpg, as in UTKFace, or come as pairs KEY.jpg and KEY.json. The detector first
    cuts the faces out into a crop cache, which is used again for the same shards; a tenth of the
    images is held out, for validation, calibration and the bundle's own test. To resume a killed
    run, give the same options again. RUN/plan.json states the whole plan. docs/experiments.md says
    how the network that ships was fitted.

    \b
    Examples:
      facetag train part-1.tar part-2.tar --backbone-weights inception_v3.weights.h5
      facetag train part-1.tar --backbone cnn --heads race --plan plan.toml
    """
    from facetag.bundles.bundle_folder import CARD
    from facetag.settings import load_settings
    from facetag_cli.reporter import Reporter
    from facetag_trainer.data.cache_preparation import PreparePlan, prepare_cache
    from facetag_trainer.fit.plan_file import StatedPlan
    from facetag_trainer.reports.card import write_card

    stated = plan or StatedPlan()
    if stated.answers and teachers:
        raise click.UsageError(
            "Give --teacher, or `answers` in the plan file, but not both: answers replace teachers."
        )
    if stated.answers and stated.fold:
        raise click.UsageError(
            "The plan file states `answers` and `fold`: leave one out, since answers are about all "
            "images."
        )
    if stated.taught and (teachers or stated.answers):
        raise click.UsageError(
            "`taught` in the plan file replaces other teachers: give one of the two."
        )
    settings, reporter = load_settings(), Reporter(quiet=quiet)
    paths = take_shards(shards, settings, quiet=quiet)
    spec = _make_spec(stated, **given(backbone=backbone, input_size=size, heads=heads))
    made = _make_plan(
        stated,
        spec,
        given(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed),
        backbone_weights=backbone_weights,
        starts=starts,
        teachers=teachers,
        precision=precision,
    )
    with reporter.bar("Cutting faces out", total=None, unit="images") as bar:
        crops = prepare_cache(
            paths,
            cache,
            PreparePlan(settings, size=spec.input_size),
            on_progress=lambda done, total: bar.set(done, total=total),
        )
    reporter.say(f"{len(crops.crops)} faces cut out")
    bundle = _fit(made, crops, run, reporter)
    (bundle.folder / CARD).write_text(write_card(bundle.manifest))
    click.echo(f"{bundle.folder}: version {bundle.version}")


def _make_spec(stated: "StatedPlan", **options: Any) -> "NetworkSpec":
    """Return the network of a plan file and of the options, which win."""
    from facetag.vision.network.spec import NetworkSpec

    values = {"age_output": "distribution", **stated.network, **options}
    chosen = values.pop("heads", ())
    heads = tuple(head.name for head in HEADS if not chosen or head.name in chosen)
    return NetworkSpec(**values, heads=heads)


def _make_plan(
    stated: "StatedPlan",
    spec: "NetworkSpec",
    options: dict[str, Any],
    *,
    backbone_weights: "Path | Literal['imagenet'] | None",
    starts: tuple[Path, ...],
    teachers: tuple[Path, ...],
    precision: str | None,
) -> "TrainingPlan":
    """Return the run of a plan file and of the options, which win."""
    from facetag.vision.bundle import open_bundle
    from facetag.vision.network.backbones import FROZEN_LAYERS
    from facetag_trainer.data.splits import Fold
    from facetag_trainer.fit.fit_plan import FitPlan
    from facetag_trainer.fit.plan_file import DEFAULT_TEACHER_SHARE
    from facetag_trainer.fit.training_run import TrainingPlan

    # Random weights must not be frozen: they are worth nothing until they are fitted.
    frozen = FROZEN_LAYERS[spec.backbone] if backbone_weights or starts else 0
    fit = {
        "frozen_layers": frozen,
        "teacher_share": DEFAULT_TEACHER_SHARE,
        **stated.fit,
        **options,
    }
    if not teachers and stated.answers is None and stated.taught is None:
        fit["teacher_share"] = 0.0
    opened = tuple(open_bundle(folder) for folder in starts)
    return TrainingPlan(
        spec=spec,
        fit=FitPlan(**fit),
        backbone_weights=backbone_weights,
        start=opened[0] if opened else None,
        averaged=opened[1:],
        teachers=tuple(open_bundle(folder) for folder in teachers),
        answers=stated.answers,
        taught=stated.taught,
        fold=None if stated.fold is None else Fold.parse(stated.fold),
        precision=precision or stated.precision or "float32",
    )


def _fit(plan: "TrainingPlan", crops: Any, run: Path, reporter: "Reporter") -> Any:
    """Fit with a bar, and print what each epoch measured."""
    from facetag_trainer.fit.training_run import train_network
    from facetag_trainer.progress import show_step

    with reporter.bar("Fitting", total=None, unit="images") as bar:
        return train_network(
            plan,
            crops,
            run,
            on_teach=lambda done, total: bar.set(done, total=total, note="asking the teachers"),
            on_step=lambda step: show_step(bar, step, plan.fit.epochs),
            on_epoch=_print_epoch,
        )


def _print_epoch(row: dict[str, Any]) -> None:
    from facetag_trainer.evaluation.table_1_metrics import flatten

    figures = "  ".join(f"{name} {value:.4f}" for name, value in flatten(row).items())
    click.echo(f"epoch {row['epoch'] + 1} on validation: {figures}")
