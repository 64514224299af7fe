"""`facetag shard`: split a folder of labelled images into training shards and a test shard."""

from pathlib import Path

import click

from facetag_cli.params.number_words import FiniteRange
from facetag_cli.params.options import quiet_option

MOST_LISTED = 20


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--parts",
    type=click.IntRange(1, 1000),
    default=4,
    show_default=True,
    help="Number of training shards.",
)
@click.option(
    "--test",
    type=FiniteRange(0, 1, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of the images that go to test.tar; 0 writes no test shard.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("shards"),
    show_default=True,
    help="Folder to write the shards to.",
)
@quiet_option
def shard(folder: Path, parts: int, test: float, output: Path, quiet: bool) -> None:
    """Split the labelled images of FOLDER into part-1.tar to part-N.tar and test.tar.

    Each image is named AGE_GENDER_RACE_*.jpg (as in UTKFace) or has a KEY.json beside it. The
    content of an image decides its shard, and look-alikes go to the same shard, so the same folder
    is split the same way on every machine. Images without a valid label, and images that cannot be
    decoded, are left out and listed.

    \b
    Example:
      facetag shard UTKFace --parts 4 --test 0.2
    """
    from facetag.results.name_escapes import escape_controls
    from facetag.settings import load_settings
    from facetag_cli.reporter import Reporter
    from facetag_trainer.data.shard_writer import shard_folder

    with Reporter(quiet=quiet).bar("Reading images", total=None, unit="images") as bar:
        sharded = shard_folder(
            folder,
            output,
            parts,
            test,
            load_settings(),
            on_progress=lambda done, total: bar.set(done, total=total),
        )
    for name, count in sharded.counts.items():
        click.echo(f"{output / name}: {count} images")
    if sharded.left_out:
        click.echo(f"Left out: {len(sharded.left_out)}")
    for bad in sharded.left_out[:MOST_LISTED]:
        click.echo(escape_controls(f"  {bad.name}: {bad.reason}"))
    if len(sharded.left_out) > MOST_LISTED:
        click.echo(f"  and {len(sharded.left_out) - MOST_LISTED} more")
