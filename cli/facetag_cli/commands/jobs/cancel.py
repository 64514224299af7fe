"""Stop a job and keep its finished results (`facetag cancel`)."""

from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, job_argument


@click.command()
@job_argument
@data_dir_option
def cancel(job: str, data_dir: Path | None) -> None:
    """Stop JOB and keep its finished results.

    Waiting photos are cancelled. Photos that a worker has begun are finished. JOB is an id, its
    first digits, or `latest`. `facetag resume JOB` goes on with the job.

    \b
    Example:
      facetag cancel 0d5c1c9e
    """
    from facetag_cli.client.job_reference import find_job
    from facetag_cli.client.kept_jobs import open_jobs
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.output.job_table import describe_job
    from facetag_cli.reporter import Reporter

    with open_jobs(read_settings(data_dir), Reporter()) as jobs:
        found = find_job(jobs.client, job)
        click.echo(describe_job(jobs.client.cancel_job(found["id"])))
