"""Label the faces in every photo of a folder (`facetag tag`)."""

from contextlib import ExitStack
from pathlib import Path

import click

from facetag_cli.params.options import (
    data_dir_option,
    min_face_option,
    output_options,
    quiet_option,
    skip_hidden_option,
)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@output_options
@click.option(
    "--keep/--no-keep",
    default=True,
    help="Keep the service's copies of the photos and results, so that the next run sends nothing "
    "again, or delete them at the end. Default: keep.",
)
@click.option(
    "--fresh",
    is_flag=True,
    help="Label all photos again, also those whose labels are known.",
)
@skip_hidden_option
@min_face_option
@data_dir_option
@quiet_option
@click.pass_context
def tag(
    ctx: click.Context,
    folder: Path,
    format_: str | None,
    output: Path | None,
    report: Path | None,
    keep: bool,
    fresh: bool,
    skip_hidden: bool,
    min_face: float | None,
    data_dir: Path | None,
    quiet: bool,
) -> None:
    """Label the faces in every photo below FOLDER.

    Every file with an image extension gets one line, in the order of the sorted paths. A photo
    that cannot be read gets the state `failed` and a reason. Links are followed, and hidden files
    are included. The labels are apparent age, gender and race, as annotators of photos saw them.
    Nobody is identified.

    The command uses the service at FACETAG_API_URL if that is set, else a running `facetag up`.
    If there is neither, it starts a service and stops it at the end.

    \b
    Exit status:
      0    every photo is tagged or has no face
      1    the run failed
      2    an argument is wrong, or the folder holds no photos
      3    some photos failed; the output is complete
      130  stopped with Ctrl-C

    \b
    Examples:
      facetag tag ~/Pictures
      facetag tag ~/Pictures --report collection.html
      facetag tag ~/Pictures --format jsonl --output labels.jsonl
    """
    from facetag.client.api_client import ApiClient
    from facetag.client.service_lookup import find_service
    from facetag.inputs.photo_files import collect_photos, no_photos
    from facetag_cli.client.service_choice import read_settings, use_service
    from facetag_cli.client.tagging_jobs import merge_lines
    from facetag_cli.output.delivery import deliver, exit_status, say_summary
    from facetag_cli.output.reporter import Reporter
    from facetag_cli.params.interrupts import stop_on_sigterm
    from facetag_cli.upload.tagging_run import TaggingRun, announce

    settings = read_settings(data_dir, min_face=min_face)
    if min_face is not None and (running := find_service(settings)) is not None:
        raise click.UsageError(
            f"--min-face cannot change the service that runs at {running.api_url}. Give "
            "--min-face to `facetag up` or `facetag worker` instead."
        )
    reporter = Reporter(quiet=quiet)
    collection = collect_photos(folder, hidden=not skip_hidden)
    if not collection.photos:
        raise click.UsageError(no_photos(collection))
    announce(collection, reporter)
    with ExitStack() as stack:
        stack.enter_context(stop_on_sigterm())
        service = stack.enter_context(use_service(settings, reporter))
        client = stack.enter_context(ApiClient(service))
        run = TaggingRun(client, reporter, settings, collection, own=service.own, reuse=not fresh)
        run.work()
        composition = deliver(
            merge_lines(client, collection.photos, run.report, run.jobs),
            format_=format_,
            output=output,
            report=report,
            title=collection.title,
            find_photo={photo.name: photo.path for photo in collection.photos}.get,
            skipped=collection.skipped,
        )
        say_summary(composition, reporter, skipped=collection.skipped, labelled_s=run.labelled_s)
        run.finish(keep=keep)
    ctx.exit(exit_status(composition))
