"""Prepare a bundle's network ahead of the first worker (`facetag warm`)."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--bundle",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the bundle. Default: FACETAG_BUNDLE, else the bundle that ships.",
)
@click.option(
    "--any-processor",
    is_flag=True,
    help="Also prepare what workers with other processors need: for an image that is built on one "
    "machine and runs on others.",
)
def warm(bundle: Path | None, any_processor: bool) -> None:
    """Prepare a bundle's network ahead, so that workers start in seconds.

    A worker needs the network traced by TensorFlow and compiled for this processor. Both are kept
    in the cache folder (default ~/.cache/facetag/graphs), which only its owner may use. Without
    this command the first worker prepares them.

    \b
    Example:
      facetag warm
    """
    from facetag.settings import load_settings
    from facetag.vision.bundle import open_bundle
    from facetag.vision.inference.cpu_slots import CpuSlots
    from facetag.vision.inference.graph_cache import GraphCache
    from facetag.vision.inference.precision import choose_precision
    from facetag.vision.network_loader import compile_blobs, has_driver, keep_traced

    if has_driver():
        click.echo("There is nothing to prepare: on a GPU, TensorFlow itself computes.", err=True)
        return
    settings = load_settings()
    cache = GraphCache.of(settings)
    if not cache.most_bytes:
        raise click.UsageError("Nothing is kept while FACETAG_GRAPH_CACHE_MB is 0.")
    chosen = open_bundle(bundle or settings.bundle)
    precision = choose_precision(settings.precision, chosen, on_gpu=False)
    compile_blobs(chosen, precision, CpuSlots.for_lanes(1).threads, cache)
    if any_processor:
        keep_traced(chosen, "float32", cache)
        if chosen.activation_ranges:
            keep_traced(chosen, "int8", cache)
    click.echo(f"The network of {chosen.version} is ready in {cache.root}.", err=True)
