"""Write a job's report (`facetag report`)."""

from pathlib import Path

import click

from facetag_cli.params.options import (
    data_dir_option,
    job_argument,
    quiet_option,
    report_photos_option,
)
from facetag_cli.params.targets import report_target


@click.command()
@job_argument
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=report_target,
    metavar="FILE.html",
    default=Path("report.html"),
    show_default=True,
    help="File to write; it is replaced only once the report is complete.",
)
@report_photos_option
@data_dir_option
@quiet_option
def report(job: str, output: Path, photos: Path | None, data_dir: Path | None, quiet: bool) -> None:
    """Write the report of JOB: who is in the collection, as one HTML file that opens offline.

    JOB is an id, its first digits, or `latest`.

    \b
    Example:
      facetag report latest --output holiday.html
    """
    from facetag_cli.client.job_reference import find_job
    from facetag_cli.client.kept_jobs import open_jobs
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.delivery.job_delivery import deliver_job
    from facetag_cli.reporter import Reporter

    reporter, settings = Reporter(quiet=quiet), read_settings(data_dir)
    with open_jobs(settings, reporter) as jobs:
        found = find_job(jobs.client, job)
        deliver_job(
            jobs.client, found, reporter, settings, format_="html", output=output, photos=photos
        )
    reporter.say(f"Wrote {output}.")
