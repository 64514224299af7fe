"""Show a job's progress, once or until the job ends (`facetag status`)."""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import click

from facetag_cli.params.options import data_dir_option, job_argument

if TYPE_CHECKING:
    from facetag.client.api_client import JobView


@click.command()
@job_argument
@click.option("--watch", "-w", is_flag=True, help="Show a live progress bar until the job ends.")
@data_dir_option
@click.pass_context
def status(ctx: click.Context, job: uuid.UUID, watch: bool, data_dir: Path | None) -> None:
    """Show the progress of JOB.

    With --watch, a live bar shows counts, rate and time left. The exit status is then 0 if every
    photo is tagged or has no face, and 3 otherwise. Ctrl-C ends the display; the job continues.

    \b
    Example:
      facetag status 0d5c1c9e-6b0a-4f3e-9a55-2f1f6f0c7b11 --watch
    """
    from facetag.client.api_client import ApiClient
    from facetag_cli.client.job_progress import wait_for_job
    from facetag_cli.client.service_choice import read_settings, require_service
    from facetag_cli.output.delivery import EXIT_OK, EXIT_SOME_FAILED
    from facetag_cli.output.reporter import Reporter

    with ApiClient(require_service(read_settings(data_dir))) as client:
        shown = wait_for_job(client, str(job), Reporter()) if watch else client.get_job(str(job))
    click.echo(describe_job(shown))
    if watch:
        ctx.exit(EXIT_OK if shown["state"] == "completed" else EXIT_SOME_FAILED)


def describe_job(job: "JobView") -> str:
    """Return a job as lines: its name and state, its counts, and its error if it has one."""
    from facetag_cli.client.job_progress import finished_count

    name = f" ({job['name']})" if job["name"] else ""
    total = "an unknown number of" if job["total"] is None else f"{job['total']}"
    counts = ", ".join(
        f"{count} {state.replace('_', ' ')}" for state, count in job["counts"].items() if count
    )
    lines = [
        f"Job {job['id']}{name}: {job['state'].replace('_', ' ')}",
        f"{finished_count(job)} of {total} photos finished" + (f": {counts}" if counts else ""),
    ]
    if job["error"]:
        lines.append(job["error"])
    return "\n".join(lines)
