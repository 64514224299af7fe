"""`facetag teach`: ask public networks about training images, so that a fit can learn from them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from facetag_cli.params.shard_argument import ShardArgument, take_shards

if TYPE_CHECKING:
    from facetag_trainer.data.shard_sources import ShardSource


@click.command()
@click.argument("shards", nargs=-1, required=True, type=ShardArgument())
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/taught"),
    show_default=True,
    help="Folder for the file of answers.",
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
def teach(shards: "tuple[ShardSource, ...]", output: Path, quiet: bool) -> None:
    """Write what public-domain networks say of the faces in training SHARDS.

    The file holds two things per face: a descriptor of 128 numbers from dlib's recognition network,
    and the gender, race and age that classifiers read from descriptors. No classifier saw the label
    of the face that it answers for. Give the file to `facetag train` as `taught` in a plan file.
    Images must be cropped to faces as UTKFace's are. The command takes 40 ms per image and core; a
    killed run goes on where it stopped. Keep the file to yourself, since descriptors can tell
    persons apart. No bundle holds one.

    \b
    Example:
      facetag teach part-1.tar part-2.tar
    """
    from facetag.settings import load_settings
    from facetag_cli.reporter import Reporter
    from facetag_trainer.teachers.descriptors import load_describer
    from facetag_trainer.teachers.teacher_answers import teach as ask

    settings, reporter = load_settings(), Reporter(quiet=quiet)
    describe = load_describer()
    paths = take_shards(shards, settings, quiet=quiet)
    with reporter.bar("Asking the teachers", total=None, unit="images") as bar:
        taught = ask(
            paths,
            output,
            settings,
            describe,
            on_progress=lambda done, total: bar.set(done, total=total),
        )
    figures = ", ".join(f"{name} {share:.4f}" for name, share in taught.accuracy.items())
    click.echo(f"{taught.path}: right out of fold: {figures}")
