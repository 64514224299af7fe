"""`facetag shard`: split a folder of labelled images into training shards and a test shard."""

from pathlib import Path

import click

MOST_LISTED = 20


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--parts", type=click.IntRange(1, 1000), default=4, show_default=True)
@click.option(
    "--test",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of the images that goes to test.tar; 0 writes none.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("shards"),
    show_default=True,
    help="Folder that the shards are written to.",
)
def shard(folder: Path, parts: int, test: float, output: Path) -> None:
    """Split the labelled images of FOLDER into part-1.tar to part-N.tar and test.tar.

    Images are named AGE_GENDER_RACE_*.jpg (the UTKFace way) or have a KEY.json beside them. Where
    an image goes follows from its content, and look-alikes go together: the same folder is split
    the same way everywhere. What has no valid label or cannot be decoded is left out and listed.

    \b
    Example:
      facetag shard UTKFace --parts 4 --test 0.2
    """
    from rich import progress

    from facetag_trainer.data.write_shards import shard_folder

    with progress.Progress() as bar:
        task = bar.add_task("images read", total=None)
        sharded = shard_folder(
            folder,
            output,
            parts,
            test,
            on_start=lambda total: bar.update(task, total=total),
            on_progress=lambda done: bar.update(task, completed=done),
        )
    for name, count in sharded.counts.items():
        click.echo(f"{output / name}: {count} images")
    if sharded.left_out:
        click.echo(f"Left out: {len(sharded.left_out)}")
    for bad in sharded.left_out[:MOST_LISTED]:
        click.echo(f"  {bad.name}: {bad.reason}")
    if len(sharded.left_out) > MOST_LISTED:
        click.echo(f"  and {len(sharded.left_out) - MOST_LISTED} more")
