"""Print a job's results in the order of its photos (`facetag results`)."""

import uuid
from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, job_argument, output_options, quiet_option


@click.command()
@job_argument
@output_options
@click.option(
    "--photos",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder of the photos on this machine, for the thumbnails of the report.",
)
@data_dir_option
@quiet_option
def results(
    job: uuid.UUID,
    format_: str | None,
    output: Path | None,
    report: Path | None,
    photos: Path | None,
    data_dir: Path | None,
    quiet: bool,
) -> None:
    """Print the results of JOB, one line per photo.

    If the job still runs, the results so far are printed. The exit status is 0 even if photos
    failed: their lines give the reason.

    \b
    Examples:
      facetag results 0d5c1c9e-6b0a-4f3e-9a55-2f1f6f0c7b11
      facetag results 0d5c1c9e-6b0a-4f3e-9a55-2f1f6f0c7b11 --format csv --output labels.csv
      facetag results 0d5c1c9e-6b0a-4f3e-9a55-2f1f6f0c7b11 --report page.html --photos ~/Pictures
    """
    from facetag.client.api_client import ApiClient
    from facetag.inputs.photo_files import photo_below
    from facetag_cli.client.service_choice import read_settings, require_service
    from facetag_cli.client.tagging_jobs import stream_lines
    from facetag_cli.commands.jobs.status import describe_job
    from facetag_cli.output.delivery import deliver, say_summary
    from facetag_cli.output.reporter import Reporter

    reporter = Reporter(quiet=quiet)
    with ApiClient(require_service(read_settings(data_dir))) as client:
        found = client.get_job(str(job))
        if found["finished_at"] is None:
            reporter.say(
                f"{describe_job(found)}\nThe job is not finished. These are the results so far."
            )
        composition = deliver(
            stream_lines(client, [str(job)]),
            format_=format_,
            output=output,
            report=report,
            title=found["name"] or f"Job {job}",
            find_photo=lambda name: None if photos is None else photo_below(photos, name),
        )
    say_summary(composition, reporter)
