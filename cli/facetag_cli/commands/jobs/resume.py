"""Go on with a cancelled job (`facetag resume`)."""

from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, job_argument


@click.command()
@job_argument
@data_dir_option
def resume(job: str, data_dir: Path | None) -> None:
    """Go on with the cancelled JOB and keep its results.

    JOB is an id, its first digits, or `latest`. If no service runs, the command starts one and
    waits until the job ends; a job that a killed command left unfinished then goes on too.

    \b
    Example:
      facetag resume latest
    """
    from facetag_cli.client.job_progress import wait_until_ended
    from facetag_cli.client.job_reference import find_job
    from facetag_cli.client.kept_jobs import open_jobs
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.output.job_table import describe_job
    from facetag_cli.params.interrupts import stop_on_sigterm
    from facetag_cli.reporter import Reporter

    reporter = Reporter()
    with stop_on_sigterm(), open_jobs(read_settings(data_dir), reporter, works=True) as jobs:
        found = find_job(jobs.client, job)
        if found["state"] == "cancelled":
            wait_until_ended(jobs.client, found["id"])
            found = jobs.client.resume_job(found["id"])
        elif found["finished_at"] is not None:
            raise click.UsageError(
                f"The job has ended ({found['state'].replace('_', ' ')}): there is nothing to "
                f"resume. `facetag results {found['id']}` prints its results."
            )
        click.echo(describe_job(jobs.finish(found, reporter)))
