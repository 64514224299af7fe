"""Print a job's results in the order of its photos (`facetag results`)."""

from pathlib import Path

import click

from facetag_cli.params.options import (
    data_dir_option,
    job_argument,
    output_options,
    quiet_option,
    report_photos_option,
)
from facetag_cli.params.targets import choose_format


@click.command()
@job_argument
@output_options
@report_photos_option
@data_dir_option
@quiet_option
def results(
    job: str,
    format_: str | None,
    output: Path | None,
    report: Path | None,
    min_certainty: float | None,
    raw: bool,
    photos: Path | None,
    data_dir: Path | None,
    quiet: bool,
) -> None:
    """Print the results of JOB, one line per photo that was sent, as `tag` prints it.

    Photos that could not be read or sent are in the output of `tag` alone.

    JOB is an id, its first digits, or `latest`. If the job still runs, the results so far are
    printed. The exit status is 0 even if photos failed: their lines give the reason.

    \b
    Examples:
      facetag results latest
      facetag results 0d5c1c9e --format csv --output labels.csv
      facetag results 0d5c1c9e --report page.html
    """
    from facetag_cli.client.job_reference import find_job
    from facetag_cli.client.kept_jobs import open_jobs
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.delivery.job_delivery import deliver_job
    from facetag_cli.reporter import Reporter

    chosen = choose_format(format_, output)
    reporter, settings = Reporter(quiet=quiet), read_settings(data_dir)
    with open_jobs(settings, reporter) as jobs:
        deliver_job(
            jobs.client,
            find_job(jobs.client, job),
            reporter,
            settings,
            format_=chosen,
            output=output,
            report=report,
            min_certainty=min_certainty,
            photos=photos,
            raw=raw,
        )
