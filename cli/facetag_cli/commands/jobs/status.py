"""Show a job's progress, once or until the job ends (`facetag status`)."""

from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, job_argument


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
    from facetag_cli.delivery.line_delivery import EXIT_OK, EXIT_SOME_FAILED
    from facetag_cli.output.job_table import describe_job
    from facetag_cli.reporter import Reporter

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
