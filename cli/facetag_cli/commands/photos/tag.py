"""Label the faces in every photo of a folder (`facetag tag`)."""

from contextlib import ExitStack
from pathlib import Path

import click

from facetag_cli.params.options import (
    data_dir_option,
    make_wish,
    min_face_option,
    output_options,
    quiet_option,
    wish_options,
)
from facetag_cli.params.photo_inputs import PhotoInputs, photo_inputs
from facetag_cli.params.targets import choose_format


@click.command()
@photo_inputs
@output_options
@click.option(
    "--keep/--no-keep",
    default=True,
    help="Keep the service's copies of the photos and results for FACETAG_RETENTION_DAYS (30), so "
    "that the next run sends nothing again, or delete them at the end. Default: keep.",
)
@click.option(
    "--fresh",
    is_flag=True,
    help="Label all photos again, also those whose labels are known.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print how many photos would be sent, reused and labelled, and exit.",
)
@wish_options
@min_face_option
@data_dir_option
@quiet_option
@click.pass_context
def tag(
    ctx: click.Context,
    inputs: PhotoInputs,
    format_: str | None,
    output: Path | None,
    report: Path | None,
    min_certainty: float | None,
    raw: bool,
    keep: bool,
    fresh: bool,
    dry_run: bool,
    heads: tuple[str, ...] | None,
    purpose: str | None,
    min_face: float | None,
    data_dir: Path | None,
    quiet: bool,
) -> None:
    """Label the faces in every photo of PATH: folders, files, tars such as WebDataset shards, `-`
    for a list of paths on standard input, or s3://BUCKET/PREFIX in a bucket of
    FACETAG_SOURCE_BUCKETS.

    Every file with an image extension gets one line, in the order of the sorted paths. A photo that
    cannot be read gets the state `failed` and a reason. Hidden files are included. Symbolic links
    are followed, with two exceptions: links that other users made, and links that lead out of the
    folder to files other than images. The labels are apparent age, gender and race, as UTKFace's
    labellers saw them. Nobody is identified. If PATH is one folder or tar, names are relative to
    it; otherwise they are the paths as given. Files that macOS and NAS devices leave beside photos
    (._x.jpg, @eaDir) are skipped.

    The command uses the service at FACETAG_API_URL if that is set, else a running `facetag up`.
    If there is neither, it starts a service. That stays up for some minutes, so that the next
    command is quick; `facetag down` ends it. With --no-keep it ends with the command.

    \b
    Exit status:
      0    every photo is tagged or has no face
      1    the run failed
      2    an argument is wrong, or the folder holds no photos
      3    some photos failed, or a folder could not be listed; the output is complete
      130  stopped with Ctrl-C

    \b
    Examples:
      facetag tag ~/Pictures
      facetag tag ~/Pictures --exclude 'thumbs/' --report collection.html
      find . -name '*.jpg' -print0 | facetag tag - --output labels.parquet
    """
    from facetag.client.api_client import ApiClient
    from facetag_cli.client.service_choice import (
        find_fixed_service,
        read_settings,
        say_lingering,
        use_service,
    )
    from facetag_cli.delivery.line_delivery import (
        EXIT_OK,
        EXIT_SOME_FAILED,
        check_space,
        exit_status,
        say_summary,
    )
    from facetag_cli.params.interrupts import stop_on_sigterm
    from facetag_cli.reporter import Reporter
    from facetag_cli.tagging.dry_run import say_plan
    from facetag_cli.tagging.prefix_run import tag_prefix
    from facetag_cli.tagging.tagging_delivery import deliver_run
    from facetag_cli.tagging.tagging_run import TaggingRun, announce, say_unsearched

    chosen = choose_format(format_, output)
    settings = read_settings(data_dir, min_face=min_face)
    if min_face is not None and (running := find_fixed_service(settings)) is not None:
        raise click.UsageError(
            f"--min-face cannot change the service that runs at {running.api_url}. Give "
            "--min-face to `facetag up` or `facetag worker` instead."
        )
    reporter, wish = Reporter(quiet=quiet), make_wish(heads, purpose, keep_photos=keep)
    if inputs.prefix is not None:
        failed = tag_prefix(
            inputs.prefix,
            settings,
            reporter,
            format_=chosen,
            output=output,
            report=report,
            min_certainty=min_certainty,
            keep=keep,
            reuse=not fresh,
            dry_run=dry_run,
            raw=raw,
            wish=wish,
        )
        ctx.exit(EXIT_SOME_FAILED if failed else EXIT_OK)
    collection = inputs.collect()
    announce(collection, reporter)
    if dry_run:
        say_plan(collection, settings, reporter, reuse=not fresh, wish=wish)
        return
    check_space(output, report, len(collection.photos))
    with ExitStack() as stack:
        stack.enter_context(stop_on_sigterm())
        service = stack.enter_context(use_service(settings, reporter, stays=keep))
        client = stack.enter_context(ApiClient(service))
        run = TaggingRun(
            client,
            reporter,
            settings,
            collection,
            own=service.own,
            starting=service.lingers,
            reuse=not fresh,
            wish=wish,
        )
        run.work()
        composition = deliver_run(
            collection,
            run,
            settings,
            format_=chosen,
            output=output,
            report=report,
            min_certainty=min_certainty,
            raw=raw,
        )
        say_summary(composition, reporter, skipped=collection.skipped, labelled_s=run.labelled_s)
        say_unsearched(collection, reporter)
        run.finish(keep=keep)
        say_lingering(service, settings, reporter)
    ctx.exit(exit_status(composition, is_whole=collection.is_whole))
