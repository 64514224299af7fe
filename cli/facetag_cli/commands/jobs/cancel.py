"""Stop a job and keep its finished results (`facetag cancel`)."""

import uuid
from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, job_argument


@click.command()
@job_argument
@data_dir_option
def cancel(job: uuid.UUID, data_dir: Path | None) -> None:
    """Stop JOB and keep its finished results.

    Waiting photos are cancelled. Photos that a worker has begun are finished.

    \b
    Example:
      facetag cancel 0d5c1c9e-6b0a-4f3e-9a55-2f1f6f0c7b11
    """
    from facetag.client.api_client import ApiClient
    from facetag_cli.client.service_choice import read_settings, require_service
    from facetag_cli.commands.jobs.status import describe_job

    with ApiClient(require_service(read_settings(data_dir))) as client:
        click.echo(describe_job(client.cancel_job(str(job))))
