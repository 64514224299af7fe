"""`facetag imbalance`: compare treatments of class imbalance on held-out images."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from facetag.vision.network.spec import APPLICATIONS
from facetag_cli.params.fit_options import BackboneWeights, cache_option, precision_option
from facetag_cli.params.options import quiet_option
from facetag_cli.params.shard_argument import ShardArgument, take_shards

if TYPE_CHECKING:
    from facetag.settings import Settings
    from facetag.vision.bundle import Bundle
    from facetag_cli.reporter import Reporter
    from facetag_trainer.data.shard_sources import ShardSource
    from facetag_trainer.fit.training_run import TrainingPlan
    from facetag_trainer.imbalance.method_comparison import ComparisonWatcher


@click.command()
@click.argument("shards", nargs=-1, required=True, type=ShardArgument())
@click.option(
    "--head",
    type=click.Choice(["race", "gender"]),
    default="race",
    show_default=True,
    help="Attribute whose labels are compared.",
)
@click.option(
    "--start",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Bundle whose pooled features are used; the bundle that ships if not given.",
)
@click.option(
    "--backbone-weights",
    type=BackboneWeights(),
    metavar="FILE|imagenet",
    help="Weights of a backbone whose pooled features are used instead of a bundle's.",
)
@click.option(
    "--backbone",
    type=click.Choice(tuple(APPLICATIONS)),
    default="inceptionv3",
    show_default=True,
    help="Backbone that --backbone-weights belong to.",
)
@click.option(
    "--whole",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Bundle that `facetag train` fitted on the same shards; it adds a row. Bundles that "
    "differ only in their seed share one. May be repeated.",
)
@click.option(
    "--seeds", type=click.IntRange(1), default=5, show_default=True, help="Fits per method."
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Length of a fit in passes over the training images; every method gets as many steps.",
)
@precision_option
@click.option(
    "--run",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/imbalance"),
    show_default=True,
    help="Folder of the features, the fits, imbalance.json and the plot of recalls.",
)
@cache_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print the comparison.",
)
@quiet_option
def imbalance(
    shards: "tuple[ShardSource, ...]",
    head: str,
    start: Path | None,
    backbone_weights: Any,
    backbone: str,
    whole: tuple[Path, ...],
    seeds: int,
    epochs: int,
    precision: str,
    run: Path,
    cache: Path,
    form: str,
    quiet: bool,
) -> None:
    """Compare three treatments of rare labels on held-out images of SHARDS.

    The pooled features of a network are computed once. A head (Dense, Dropout, Dense) is then
    fitted on them in three ways: without a treatment, with each label weighted by the inverse of
    its frequency, and on a set that SMOTE filled up to equal numbers per label. The epoch with the
    best macro F1 on the validation part is kept. Accuracy, macro F1 and the recall of each label
    are measured on the other held-out images. Figures are means over the seeds, with their standard
    deviation and a 95% confidence interval from the bootstrap. Give no test shards: whoever chooses
    a method by these figures has used the images. The same command resumes an interrupted run.

    \b
    Examples:
      facetag imbalance part-1.tar part-2.tar
      facetag imbalance part-1.tar part-2.tar --backbone-weights inception_v3.weights.h5
    """
    from facetag.settings import load_settings
    from facetag.vision.bundle import open_bundle
    from facetag_cli.output.imbalance_table import render
    from facetag_cli.reporter import Reporter
    from facetag_trainer.imbalance.comparison_files import write_comparison
    from facetag_trainer.imbalance.imbalance_plan import ImbalancePlan
    from facetag_trainer.imbalance.method_comparison import compare_methods

    if start is not None and backbone_weights is not None:
        raise click.UsageError(
            "Give --start or --backbone-weights, but not both: features come from one network."
        )
    settings = load_settings()
    stated = ImbalancePlan(head=head, seeds=seeds, epochs=epochs)
    network = _choose_network(settings, head, start, backbone, backbone_weights, precision)
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
    precision: str,
) -> "TrainingPlan":
    """Return the network whose features are used; none of it is fitted."""
    from facetag.vision.bundle import open_bundle
    from facetag.vision.network.spec import NetworkSpec
    from facetag_trainer.fit.training_run import TrainingPlan

    if backbone_weights is not None:
        spec = NetworkSpec(backbone=backbone, heads=(head,))
        return TrainingPlan(spec, backbone_weights=backbone_weights, precision=precision)
    bundle = open_bundle(start or settings.bundle)
    return TrainingPlan(bundle.spec, start=bundle, precision=precision)


def _cut_faces(
    reporter: "Reporter",
    settings: "Settings",
    shards: tuple[Path, ...],
    cache: Path,
    size: int,
    bundle: "Bundle | None",
) -> Any:
    """Return the crops for a network of this input size, cut by its bundle's crop rule."""
    from facetag.vision.crop import UprightCrop
    from facetag_trainer.data.cache_preparation import PreparePlan, prepare_cache

    rule = UprightCrop() if bundle is None else bundle.crop_rule
    with reporter.bar(f"Cutting faces out, {size} pixels", total=None, unit="images") as bar:
        return prepare_cache(
            shards,
            cache,
            PreparePlan(settings, size=size, rule=rule),
            on_progress=lambda done, total: bar.set(done, total=total),
        )


@contextmanager
def _watch(reporter: "Reporter") -> Iterator["ComparisonWatcher"]:
    """Report the progress as a context: a bar for the features, then a line per fit."""
    from facetag_trainer.imbalance.method_comparison import ComparisonWatcher

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
