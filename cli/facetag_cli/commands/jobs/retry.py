"""Queue a job's failed photos again (`facetag retry`)."""

import uuid
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
def retry(job: uuid.UUID, only: str, data_dir: Path | None) -> None:
    """Try the failed photos of JOB again, and keep its other results.

    This helps if the cause has gone, such as a worker that died or an object that was missing. A
    damaged photo fails again.

    \b
    Example:
      facetag retry 0d5c1c9e-6b0a-4f3e-9a55-2f1f6f0c7b11 --only failed
    """
    from facetag.client.api_client import ApiClient
    from facetag_cli.client.service_choice import read_settings, require_service
    from facetag_cli.commands.jobs.status import describe_job

    with ApiClient(require_service(read_settings(data_dir))) as client:
        click.echo(describe_job(client.retry_job(str(job), only=only)))
