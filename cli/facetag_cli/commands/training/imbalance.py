"""`facetag imbalance`: compare treatments of class imbalance on held-out images."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from facetag_cli.params.fit_options import BackboneWeights, cache_option, precision_option
from facetag_cli.params.options import quiet_option
from facetag_cli.params.shard_argument import ShardArgument, take_shards

if TYPE_CHECKING:
    from facetag.settings import Settings
    from facetag.vision.bundle import Bundle
    from facetag_cli.output.reporter import Reporter
    from facetag_trainer.data.shard_sources import ShardSource
    from facetag_trainer.fit.training_run import TrainingPlan
    from facetag_trainer.imbalance.compare import ComparisonWatcher


@click.command()
@click.argument("shards", nargs=-1, required=True, type=ShardArgument())
@click.option(
    "--start",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The bundle whose features are taken; the one that ships if neither is given.",
)
@click.option(
    "--backbone-weights",
    type=BackboneWeights(),
    metavar="FILE|imagenet",
    help="Instead of a bundle, weights of a backbone that was fitted on something else.",
)
@click.option(
    "--backbone",
    type=click.Choice(["inceptionv3", "xception"]),
    default="inceptionv3",
    show_default=True,
    help="Whose weights those are.",
)
@click.option("--head", type=click.Choice(["race", "gender"]), default="race", show_default=True)
@click.option(
    "--whole",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A bundle that `facetag train` fitted on the same shards, as a row of its own; those that "
    "differ by seed alone make one row. May be repeated.",
)
@click.option(
    "--run",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/imbalance"),
    show_default=True,
    help="Folder of features, fits, imbalance.json and the picture.",
)
@cache_option
@click.option(
    "--size", type=click.IntRange(75), help="Input pixels; the bundle's, or 160, if not given."
)
@precision_option
@click.option(
    "--seeds", type=click.IntRange(1), default=5, show_default=True, help="Fits a method."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The first.")
@click.option(
    "--epochs",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Budget of a fit, in passes over the training images: the same steps for every method.",
)
@click.option("--batch-size", type=click.IntRange(1), default=128, show_default=True)
@click.option(
    "--learning-rate", type=click.FloatRange(0, min_open=True), default=1e-3, show_default=True
)
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@quiet_option
def imbalance(
    shards: "tuple[ShardSource, ...]",
    start: Path | None,
    backbone_weights: Any,
    backbone: str,
    whole: tuple[Path, ...],
    run: Path,
    cache: Path,
    size: int | None,
    precision: str,
    form: str,
    quiet: bool,
    **plan: Any,
) -> None:
    """Compare what can be done about rare labels, on images that are held out of SHARDS.

    A network's pooled features are computed once; then its head (Dense, Dropout, Dense) is fitted
    on them plainly, with weights inverse to how frequent labels are, and on a set that SMOTE has
    filled up to equal numbers. The epoch with the best macro F1 on the validation part is kept;
    accuracy, macro F1 and the recall of each label are measured on the other held-out images.
    Figures are means over the seeds, with their standard deviation and the bootstrap's central 95%.
    Give no test shards: a choice is made here. An interrupted run goes on where it stopped.

    \b
    Examples:
      facetag imbalance part-1.tar part-2.tar
      facetag imbalance part-1.tar part-2.tar --backbone-weights inception_v3.weights.h5
    """
    from facetag.settings import load_settings
    from facetag.vision.bundle import open_bundle
    from facetag_cli.output.imbalance_table import render
    from facetag_cli.output.reporter import Reporter
    from facetag_trainer.imbalance.compare import compare_methods
    from facetag_trainer.imbalance.comparison_files import write_comparison
    from facetag_trainer.imbalance.imbalance_plan import ImbalancePlan

    if start is not None and backbone_weights is not None:
        raise click.UsageError(
            "Give --start or --backbone-weights: features come from one network."
        )
    settings = load_settings()
    stated = ImbalancePlan(**plan)
    network = _choose_network(
        settings, stated.head, start, backbone, backbone_weights, size, precision
    )
    bundles = [open_bundle(folder) for folder in whole]
    reporter = Reporter(quiet=quiet)
    cut = partial(_cut_faces, reporter, settings, take_shards(shards, settings, quiet=quiet), cache)
    with _watch(reporter) as watcher:
        found = compare_methods(
            stated,
            network,
            cut(network.spec.input_size, network.start),
            run,
            whole=[(bundle, cut(bundle.spec.input_size, bundle)) for bundle in bundles],
            watcher=watcher,
        )
    reporter.say(f"{write_comparison(run, found)}")
    click.echo(json.dumps(found.to_json(), indent=2) if form == "json" else render(found))


def _choose_network(
    settings: "Settings",
    head: str,
    start: Path | None,
    backbone: str,
    backbone_weights: Any,
    size: int | None,
    precision: str,
) -> "TrainingPlan":
    """Return the network whose features are taken; nothing of it is fitted."""
    from dataclasses import replace

    from facetag.vision.bundle import open_bundle
    from facetag.vision.network.spec import NetworkSpec
    from facetag_trainer.fit.training_run import TrainingPlan

    if backbone_weights is not None:
        spec = NetworkSpec(backbone=backbone, heads=(head,))
        spec = replace(spec, input_size=size or spec.input_size)
        return TrainingPlan(spec, backbone_weights=backbone_weights, precision=precision)
    bundle = open_bundle(start or settings.bundle)
    spec = replace(bundle.spec, input_size=size or bundle.spec.input_size)
    return TrainingPlan(spec, start=bundle, precision=precision)


def _cut_faces(
    reporter: "Reporter",
    settings: "Settings",
    shards: tuple[Path, ...],
    cache: Path,
    size: int,
    bundle: "Bundle | None",
) -> Any:
    """Return the crops that a network of this size is to see, cut by its bundle's rule."""
    from facetag.vision.crop import CropRule
    from facetag_trainer.data.prepare import PreparePlan, prepare_cache

    rule = CropRule() if bundle is None else bundle.crop_rule
    with reporter.bar(f"Cutting faces out, {size} pixels", total=None, unit="images") as bar:
        return prepare_cache(
            shards,
            cache,
            PreparePlan(settings, size=size, rule=rule),
            on_progress=lambda done, total: bar.set(done, total=total),
        )


@contextmanager
def _watch(reporter: "Reporter") -> Iterator["ComparisonWatcher"]:
    """Show how far features and fits are, as a context: a bar, then a line for each fit."""
    from facetag_trainer.imbalance.compare import ComparisonWatcher

    with ExitStack() as stack:
        bars: list[Any] = []

        def on_features(done: int, total: int) -> None:
            if not bars:
                bars.append(
                    stack.enter_context(
                        reporter.bar("Computing features", total=total, unit="images")
                    )
                )
            bars[0].set(done)

        def on_fit(done: int, total: int) -> None:
            stack.close()
            reporter.say(f"Heads fitted: {done} of {total}")

        yield ComparisonWatcher(on_features, on_fit)
