"""Label the photos of a finished job again and show what changed (`facetag retag`)."""

import uuid
from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, job_argument, quiet_option


@click.command()
@job_argument
@data_dir_option
@quiet_option
@click.pass_context
def retag(ctx: click.Context, job: uuid.UUID, data_dir: Path | None, quiet: bool) -> None:
    """Label the photos of the finished JOB again and show what changed.

    A new job labels them with the present champion. JOB keeps its results. Right after a promotion
    some workers may still use the previous champion; the command prints how many photos those
    labelled. Ctrl-C ends the display; the new job continues. The exit status is 3 if some photos
    failed.

    \b
    Example:
      facetag retag 0d5c1c9e-6b0a-4f3e-9a55-2f1f6f0c7b11
    """
    from facetag.client.api_client import ApiClient
    from facetag_cli.client.job_progress import wait_for_job
    from facetag_cli.client.service_choice import read_settings, require_service
    from facetag_cli.client.tagging_jobs import stream_lines
    from facetag_cli.output.delivery import EXIT_OK, EXIT_SOME_FAILED
    from facetag_cli.output.label_changes import compare_lines
    from facetag_cli.output.reporter import Reporter

    reporter = Reporter(quiet=quiet)
    with ApiClient(require_service(read_settings(data_dir))) as client:
        champion = client.champion_version()
        new = client.retag_job(str(job))
        reporter.say(f"Job {new['id']} labels the photos of {job} again.")
        ended = wait_for_job(client, new["id"], reporter)
        lines = (stream_lines(client, [one]) for one in (str(job), new["id"]))
        click.echo(compare_lines(*lines, champion=champion).describe())
    ctx.exit(EXIT_OK if ended["state"] == "completed" else EXIT_SOME_FAILED)
