"""Queue a job's failed photos again (`facetag retry`)."""

from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, job_argument


@click.command()
@job_argument
@click.option(
    "--only",
    type=click.Choice(["failed"]),
    default="failed",
    show_default=True,
    help="Which photos to try again.",
)
@data_dir_option
def retry(job: str, only: str, data_dir: Path | None) -> None:
    """Try the failed photos of JOB again, and keep its other results.

    This helps if the cause has gone, such as a worker that died or an object that was missing. A
    damaged photo fails again. JOB is an id, its first digits, or `latest`. If no service runs, the
    command starts one and waits for the job.

    \b
    Example:
      facetag retry 0d5c1c9e --only failed
    """
    from facetag_cli.client.job_reference import find_job
    from facetag_cli.client.kept_jobs import open_jobs
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.output.job_table import describe_job
    from facetag_cli.params.interrupts import stop_on_sigterm
    from facetag_cli.reporter import Reporter

    reporter = Reporter()
    with stop_on_sigterm(), open_jobs(read_settings(data_dir), reporter, works=True) as jobs:
        found = find_job(jobs.client, job)
        begun = jobs.client.retry_job(found["id"], only=only)
        click.echo(describe_job(jobs.finish(begun, reporter)))
