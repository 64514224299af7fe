"""Send a folder's photos to a running service and start a job (`facetag upload`)."""

from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, make_wish, quiet_option, wish_options
from facetag_cli.params.photo_inputs import PhotoInputs, photo_inputs


@click.command()
@photo_inputs
@click.option(
    "--tag/--no-tag",
    "start",
    default=True,
    help="Start a job on the photos, or only send them. Default: start.",
)
@click.option(
    "--counts-only",
    is_flag=True,
    help="Keep only the number of faces per group. Faces are not stored, and photos are deleted in"
    " the end. `facetag status JOB` prints the counts.",
)
@click.option(
    "--keep-photos",
    is_flag=True,
    help="Keep the sent photos as long as the results, for `retag` and review. Default: photos are"
    " deleted an hour after they were labelled.",
)
@wish_options
@click.option("--name", help="Name of the job. Default: the folder's name.")
@data_dir_option
@quiet_option
@click.pass_context
def upload(
    ctx: click.Context,
    inputs: PhotoInputs,
    start: bool,
    counts_only: bool,
    keep_photos: bool,
    heads: tuple[str, ...] | None,
    purpose: str | None,
    name: str | None,
    data_dir: Path | None,
    quiet: bool,
) -> None:
    """Send the photos of PATH to the service, start a job and print its id.

    PATH is a folder, a file, a tar, or `-` for a list of paths on standard input.

    Photos are stored by their content. A photo that the service has is not sent again, so a
    stopped upload continues where it was. A service must be running: start one with `facetag up`,
    or set FACETAG_API_URL.

    \b
    Exit status:
      0  every photo was sent
      1  the run failed
      2  an argument is wrong, or the folder holds no photos
      3  some photos were not sent; they are listed with the reason, as are closed folders

    \b
    Example:
      job=$(facetag upload ~/Pictures)
      facetag status $job --watch
      facetag results $job --format csv --output labels.csv
    """
    from facetag.client.api_client import ApiClient
    from facetag_cli.client.service_choice import read_settings, require_service
    from facetag_cli.client.tagging_jobs import plan_jobs, start_job
    from facetag_cli.delivery.line_delivery import EXIT_OK, EXIT_SOME_FAILED
    from facetag_cli.params.interrupts import stop_on_sigterm
    from facetag_cli.reporter import Reporter
    from facetag_cli.tagging.tagging_run import (
        announce,
        say_known,
        say_not_sent,
        say_sent,
        say_unsearched,
        send_photos,
    )

    settings = read_settings(data_dir)
    reporter = Reporter(quiet=quiet)
    if counts_only and keep_photos:
        raise click.UsageError("--counts-only cannot be combined with --keep-photos.")
    wish = make_wish(heads, purpose, counts_only=counts_only, keep_photos=keep_photos)
    service = require_service(settings)
    if inputs.prefix is not None:
        raise click.UsageError(f"{inputs.prefix} needs no upload: run `facetag tag` on it.")
    collection = inputs.collect()
    announce(collection, reporter)
    with stop_on_sigterm(), ApiClient(service) as client:
        report = send_photos(client, collection.photos, settings, reporter)
        say_sent(report, reporter)
        if start:
            plan = plan_jobs(collection.photos, report.outcomes, max_images=settings.max_job_images)
            for images in plan:
                job = start_job(
                    client,
                    images,
                    name=name or collection.title,
                    wish=wish,
                )
                click.echo(job["id"])
                say_known([job], reporter)
    say_not_sent(collection.photos, report, reporter)
    say_unsearched(collection, reporter)
    ctx.exit(EXIT_SOME_FAILED if report.failed or not collection.is_whole else EXIT_OK)
