"""`facetag calibrate`: fit a bundle's temperatures, ages and their range on what was held out."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from facetag_cli.params.fit_options import cache_option
from facetag_cli.params.shard_argument import ShardArgument, take_shards

if TYPE_CHECKING:
    from facetag_trainer.data.shard_sources import ShardSource


@click.command()
@click.argument("shards", nargs=-1, type=ShardArgument())
@click.option(
    "--model",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the bundle, which is changed; the one that ships if not given.",
)
@cache_option
@click.option(
    "--mirror",
    type=click.Choice(["never", "unsure", "always"]),
    help="Whose mirror image is read too, which doubles a face's cost: nobody's, that of faces the "
    "network is unsure of, everybody's; as the bundle says if not given.",
)
def calibrate(
    shards: "tuple[ShardSource, ...]", model: Path | None, cache: Path, mirror: str | None
) -> None:
    """Fit how sure a network may say it is, on faces that it was not fitted on.

    SHARDS are those that it was fitted on, each a path or s3://BUCKET/KEY; without them their crop
    cache is looked for in --cache. What is held out there is split by content: temperatures for
    gender and race, a line through ages and the coverage of their range are fitted on one part and
    measured on another. The ranges by which workers compute in 8 bits are measured too. `train`
    does the same at its end. Weights and version stay; test figures
    are to be measured again with `facetag evaluate`.

    \b
    Example:
      facetag calibrate --model runs/train/bundle
    """
    from facetag.bundles.folder import CARD
    from facetag.settings import load_settings
    from facetag.vision.bundle import open_bundle
    from facetag_trainer.calibration.bundle_calibration import (
        MIRRORINGS,
        calibrate_bundle,
        find_cache,
    )
    from facetag_trainer.data.prepare import PreparePlan, prepare_cache
    from facetag_trainer.reports.card import MEASURES, figure, write_card

    bundle = open_bundle(model or load_settings().bundle)
    if shards:
        plan = PreparePlan(size=bundle.spec.input_size, rule=bundle.crop_rule)
        crops = prepare_cache(take_shards(shards), cache, plan)
    else:
        crops = find_cache(cache, bundle)
    bundle = calibrate_bundle(bundle, crops, mirror=MIRRORINGS[mirror] if mirror else None)
    (bundle.folder / CARD).write_text(write_card(bundle.manifest))
    for part in ("validation", "holdout"):
        click.echo(f"{part}, {bundle.manifest['held_out'][part]} images:")
        for head, row in bundle.manifest["metrics"][part].items():
            figures = ", ".join(f"{MEASURES[name]} {figure(value)}" for name, value in row.items())
            click.echo(f"  {head}: {figures}")
    for head, temperature in bundle.manifest["calibration"]["temperatures"].items():
        click.echo(f"temperature of {head}: {temperature:g}")
