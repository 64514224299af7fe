"""Show a job's progress, once or until the job ends (`facetag status`)."""

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
def status(ctx: click.Context, job: str, watch: bool, data_dir: Path | None) -> None:
    """Show the progress of JOB: an id, its first digits, or `latest`.

    With --watch, a live bar shows counts, rate and time left. The exit status is then 0 if every
    photo is tagged or has no face, and 3 otherwise. Ctrl-C ends the display; the job continues.

    \b
    Example:
      facetag status latest --watch
    """
    from facetag_cli.client.job_progress import wait_for_job
    from facetag_cli.client.job_reference import find_job
    from facetag_cli.client.kept_jobs import open_jobs
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.output.delivery import EXIT_OK, EXIT_SOME_FAILED
    from facetag_cli.output.reporter import Reporter

    reporter = Reporter()
    with open_jobs(read_settings(data_dir), reporter) as jobs:
        shown = find_job(jobs.client, job)
        if shown["finished_at"] is None and jobs.own:
            reporter.warn(f"No worker runs. `facetag resume {shown['id']}` goes on with the job.")
        elif watch:
            shown = wait_for_job(jobs.client, shown["id"], reporter)
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
    if job["reused"]:
        counts += f"; {job['reused']} of them known before"
    lines = [
        f"Job {job['id']}{name}: {job['state'].replace('_', ' ')}",
        f"{finished_count(job)} of {total} photos finished" + (f": {counts}" if counts else ""),
    ]
    if job["error"]:
        lines.append(job["error"])
    return "\n".join(lines)
