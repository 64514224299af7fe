"""`facetag calibrate`: fit a bundle's temperatures and age range on held-out images."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from facetag_cli.params.fit_options import cache_option
from facetag_cli.params.options import quiet_option
from facetag_cli.params.shard_argument import ShardArgument, take_shards

if TYPE_CHECKING:
    from facetag_trainer.data.shard_sources import ShardSource


@click.command()
@click.argument("shards", nargs=-1, type=ShardArgument())
@click.option(
    "--model",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the bundle to calibrate, whose manifest is changed; the bundle that ships if "
    "not given.",
)
@cache_option
@click.option(
    "--mirror",
    type=click.Choice(["never", "unsure", "always"]),
    help="Faces to read a second time, mirrored, at twice the cost per face: none, those that the "
    "network is unsure of, or all. Default: the bundle's own setting stays.",
)
@quiet_option
def calibrate(
    shards: "tuple[ShardSource, ...]",
    model: Path | None,
    cache: Path,
    mirror: str | None,
    quiet: bool,
) -> None:
    """Calibrate a bundle's probabilities and age ranges on held-out faces.

    Give the SHARDS that the network was fitted on, each a path or s3://BUCKET/KEY. Without SHARDS,
    their crop cache is looked for in --cache. The held-out images are split by content: the
    temperatures of gender and race, a line through ages and the coverage of the age range are
    fitted on one part and measured on another. The activation ranges for 8-bit inference are
    measured too. `facetag train` does the same at its end. Weights and version stay as they are.
    The recorded test figures are removed: measure them again with `facetag evaluate`.

    \b
    Example:
      facetag calibrate --model runs/train/bundle
    """
    from facetag.atomic_write import atomic_write
    from facetag.bundles.bundle_folder import CARD
    from facetag.settings import load_settings
    from facetag.vision.bundle import open_bundle
    from facetag_cli.reporter import Reporter
    from facetag_trainer.calibration.bundle_calibration import (
        MIRRORINGS,
        calibrate_bundle,
        find_cache,
    )
    from facetag_trainer.data.cache_preparation import PreparePlan, prepare_cache
    from facetag_trainer.reports.card import write_card
    from facetag_trainer.reports.table_measures import find_measure

    settings, reporter = load_settings(), Reporter(quiet=quiet)
    bundle = open_bundle(model or settings.bundle)
    if shards:
        plan = PreparePlan(settings, size=bundle.spec.input_size, rule=bundle.crop_rule)
        paths = take_shards(shards, settings, quiet=quiet)
        with reporter.bar("Cutting faces out", total=None, unit="images") as bar:
            crops = prepare_cache(
                paths, cache, plan, on_progress=lambda done, total: bar.set(done, total=total)
            )
    else:
        crops = find_cache(cache, bundle, settings)
    with reporter.bar("Reading held-out images", total=None, unit="images") as bar:
        bundle = calibrate_bundle(
            bundle,
            crops,
            mirror=MIRRORINGS[mirror] if mirror else None,
            on_read=lambda done, total: bar.set(done, total=total),
        )
    atomic_write(bundle.folder / CARD, write_card(bundle.manifest))
    for part in ("validation", "holdout"):
        click.echo(f"{part}, {bundle.manifest['held_out'][part]} images:")
        for head, row in bundle.manifest["metrics"][part].items():
            measures = [(find_measure(head, name), value) for name, value in row.items()]
            figures = ", ".join(f"{one.title} {one.format(value)}" for one, value in measures)
            click.echo(f"  {head}: {figures}")
    for head, temperature in bundle.manifest["calibration"]["temperatures"].items():
        click.echo(f"temperature of {head}: {temperature:g}")
