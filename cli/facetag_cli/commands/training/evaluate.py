"""Measure a bundle on labelled shards, and write figures, report and card."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from facetag_cli.params.options import format_option
from facetag_cli.params.shard_argument import ShardArgument, take_shards

if TYPE_CHECKING:
    from facetag_trainer.data.shard_sources import ShardSource


@click.command()
@click.argument("shards", nargs=-1, required=True, type=ShardArgument())
@click.option(
    "--model",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the bundle. Default: the bundle that ships.",
)
@click.option(
    "--crop",
    type=click.Choice(["detector", "bare"]),
    default="detector",
    show_default=True,
    help="`bare` skips the detector and uses each image whole.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "int8", "auto"]),
    default="float32",
    show_default=True,
    help="Precision of the network. `auto` takes the fastest on this processor, as workers do.",
)
@format_option
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for a page with plots, and its data as JSON and CSV.",
)
@click.option(
    "--twins-of",
    multiple=True,
    metavar="SHARD",
    type=ShardArgument(),
    help="Training shard: also measure without the images that are near duplicates of its images. "
    "May be repeated.",
)
@click.option(
    "--corrupt",
    is_flag=True,
    help="Measure a fixed set of the images, corrupted in twelve ways at three strengths each.",
)
@click.option(
    "--corrupt-images",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    help="Images to corrupt with --corrupt; each is read 37 times.",
)
@click.option(
    "--card",
    is_flag=True,
    help="Write the figures into the bundle's manifest and card, as its test figures.",
)
def evaluate(
    shards: "tuple[ShardSource, ...]",
    model: Path | None,
    crop: str,
    precision: Any,
    form: str,
    report: Path | None,
    twins_of: "tuple[ShardSource, ...]",
    corrupt: bool,
    corrupt_images: int,
    card: bool,
) -> None:
    """Measure a network on labelled SHARDS: the paper's Table 1, and the worst groups.

    A shard is a path or s3://BUCKET/KEY. Every image goes through detector and crop as in the
    service; if no face is found, the whole image is used. `n` counts every image with valid labels:
    none of them is dropped. Intervals are 95% confidence intervals from 1000 bootstrap rounds.

    \b
    Example:
      facetag evaluate test.tar --twins-of part-1.tar --twins-of part-2.tar --report measured
    """
    from facetag.settings import load_settings
    from facetag.vision.bundle import open_bundle
    from facetag_trainer.data.near_duplicates import find_twins
    from facetag_trainer.evaluation.bundle_evaluation import evaluate_bundle
    from facetag_trainer.evaluation.evaluation_results import measure_evaluation, results_json

    if card and crop == "bare":
        raise click.UsageError(
            "--card cannot be combined with --crop bare: the card gives figures of the service's "
            "own detector and crop."
        )
    if corrupt and (card or report or twins_of or crop == "bare"):
        raise click.UsageError(
            "--corrupt cannot be combined with --card, --report, --twins-of or --crop bare."
        )
    settings = load_settings()
    bundle = open_bundle(model or settings.bundle)
    if corrupt:
        _tell_corrupted(
            bundle, take_shards(shards, settings), settings, corrupt_images, precision, form
        )
        return
    paths, twin_paths = (take_shards(some, settings) for some in (shards, twins_of))
    with _counter("Measuring") as count:
        result = evaluate_bundle(
            bundle,
            paths,
            settings,
            bare=crop == "bare",
            precision=precision,
            on_progress=count,
        )
    results, twins, without = measure_evaluation(result), None, None
    if twins_of:
        with _counter("Looking for near duplicates in the training data") as count:
            twins = find_twins(result.hashes, twin_paths, settings, on_progress=count)
        # If every image has a twin, no image remains to measure.
        without = None if twins.all() else measure_evaluation(result, ~twins)
    table = results_json(results, without)
    facts = _describe(bundle, paths, crop, precision, twin_paths)
    if card:
        _record(bundle, facts, table)
    click.echo(json.dumps(table, indent=2) if form == "json" else _render(bundle.version, table))
    if form == "table":
        _tell(table, result, twins)
    if report is not None:
        from facetag_trainer.evaluation.evaluation_report import Reported, write_report

        page = write_report(report, Reported(result, results, facts, without, twins))
        click.echo(f"{page}", err=True)


def _tell_corrupted(
    bundle: Any, paths: Any, settings: Any, images: int, precision: Any, form: str
) -> None:
    """Print the measures by corruption, and their mean."""
    from rich.console import Console
    from rich.table import Table

    from facetag_trainer.evaluation.corruption_evaluation import evaluate_corrupted
    from facetag_trainer.reports.table_measures import find_measure

    with _counter("Measuring") as count:
        table = evaluate_corrupted(
            bundle, paths, settings, images=images, precision=precision, on_progress=count
        )
    if form == "json":
        click.echo(json.dumps(table, indent=2))
        return
    columns = [
        (head, name, find_measure(head, name))
        for head, row in table["none"].items()
        for name in row
    ]
    grid = Table("corruption", *(f"{head}: {measure.title}" for head, _, measure in columns))
    for kind, rows in table.items():
        grid.add_row(
            kind, *(measure.format(rows[head].get(name)) for head, name, measure in columns)
        )
    Console(width=240).print(grid)


@contextmanager
def _counter(title: str) -> Iterator[Any]:
    """Show a progress bar, and yield a function that adds to the number of finished images."""
    from facetag_cli.reporter import Reporter

    with Reporter().bar(title, total=None, unit="images") as bar:
        yield lambda more: bar.advance(more, 0)


def _describe(
    bundle: Any,
    shards: tuple[Path, ...],
    crop: str,
    precision: str,
    twins_of: tuple[Path, ...],
) -> dict[str, Any]:
    """Return what was measured and how; file names without their folders."""
    import platform
    from datetime import UTC, datetime

    from facetag_trainer.data.shards import shard_digest

    words = [path.name for path in shards]
    words += ["--crop bare"] if crop == "bare" else []
    words += [f"--precision {precision}"] if precision != "float32" else []
    words += [f"--twins-of {path.name}" for path in twins_of]
    return {
        "version": bundle.version,
        "command": f"facetag evaluate {' '.join(words)}",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, CPU",
        "shards": [{"name": path.name, "sha256": shard_digest(path)} for path in shards],
    }


def _record(bundle: Any, facts: dict[str, Any], table: dict[str, Any]) -> None:
    from facetag.atomic_write import atomic_write
    from facetag.bundles.bundle_folder import CARD
    from facetag.vision.bundle import save_manifest
    from facetag_trainer.reports.card import write_card

    measured = {name: facts[name] for name in ("command", "date", "machine")}
    metrics = {**bundle.manifest["metrics"], "test": {**measured, "table": table}}
    manifest = {**bundle.manifest, "metrics": metrics}
    save_manifest(bundle.folder, manifest)
    atomic_write(bundle.folder / CARD, write_card(manifest))


def _tell(table: dict[str, Any], result: Any, twins: Any) -> None:
    """Print the number of images and the worst groups, below the table."""
    from facetag_trainer.reports.table_measures import find_measure

    click.echo(
        f"{table['n']} images; no face found in {result.faceless}; "
        f"{result.invalid} without a valid label are not counted."
    )
    for head, row in table["worst_groups"].items():
        measure = find_measure(head, row["measure"])
        click.echo(
            f"Worst group, {head}: {row['group']} ({row['n']} images), {measure.title} "
            f"{measure.format(row['value'])}."
        )
    if twins is not None:
        click.echo(f"{int(twins.sum())} images have a near twin in the training data.")


def _render(version: str, table: dict[str, Any]) -> str:
    from rich.console import Console
    from rich.table import Table

    from facetag_trainer.reports.table_measures import find_measure

    grid = Table("head", "measure", version, "95% interval", "paper")
    for head in ("age", "gender", "race"):
        for name, value in table.get(head, {}).items():
            measure = find_measure(head, name)
            grid.add_row(
                head,
                measure.title,
                measure.format(value),
                measure.format_interval(table["intervals"][head][name]),
                measure.format(measure.paper),
            )
    console = Console()
    with console.capture() as capture:
        console.print(grid)
    return capture.get().rstrip()
