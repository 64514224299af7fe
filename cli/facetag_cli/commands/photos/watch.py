"""Label the photos that arrive in a folder (`facetag watch`)."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from facetag_cli.params.options import data_dir_option, quiet_option
from facetag_cli.params.photo_inputs import NamePattern
from facetag_cli.params.targets import appended_target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facetag.client.api_client import Line
    from facetag.inputs.photo_files import FoundPhotos

CHECK_MS = 2000
"""How often files that were still being written are looked at again."""


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=appended_target,
    metavar="FILE.jsonl",
    default=Path("labels.jsonl"),
    show_default=True,
    help="File to which the results are appended, a line per photo.",
)
@click.option(
    "--exclude",
    type=NamePattern(),
    multiple=True,
    metavar="PATTERN",
    help="Leave out photos whose names match.",
)
@click.option("--skip-hidden", is_flag=True, help="Skip names that begin with a dot.")
@data_dir_option
@quiet_option
def watch(
    folder: Path,
    output: Path,
    exclude: tuple[str, ...],
    skip_hidden: bool,
    data_dir: Path | None,
    quiet: bool,
) -> None:
    """Label the photos in FOLDER, and then those that arrive, until Ctrl-C.

    A photo that changes is labelled again and gets another line. After a restart the command goes
    on where it was: photos with a line in FILE.jsonl are not labelled again.

    \b
    Example:
      facetag watch ~/Pictures/camera --output camera.jsonl
    """
    from facetag.client.api_client import ApiClient
    from facetag.inputs.name_filter import NameFilter
    from facetag_cli.client.service_choice import read_settings, use_service
    from facetag_cli.params.interrupts import stop_on_sigterm
    from facetag_cli.reporter import Reporter
    from facetag_cli.tagging.folder_watch import FolderWatch, follow, signs_of_change
    from facetag_cli.tagging.tagging_run import TaggingRun, announce

    settings, reporter = read_settings(data_dir), Reporter(quiet=quiet)
    with (
        stop_on_sigterm(),
        use_service(settings, reporter) as service,
        ApiClient(service) as client,
    ):

        def label(found: "FoundPhotos") -> "Iterator[Line]":
            announce(found, reporter)
            run = TaggingRun(client, reporter, settings, found, own=service.own)
            run.work()
            return run.lines()

        names = NameFilter(exclude=exclude)
        watched = FolderWatch(folder, output, label, hidden=not skip_hidden, names=names)
        reporter.say(f"Watching {folder}; results go to {output}. Ctrl-C ends this.")
        follow(watched, signs_of_change(folder, check_ms=CHECK_MS))
