"""Label the photos of a finished job again and show what changed (`facetag retag`)."""

from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, job_argument, quiet_option


@click.command()
@job_argument
@data_dir_option
@quiet_option
@click.pass_context
def retag(ctx: click.Context, job: str, data_dir: Path | None, quiet: bool) -> None:
    """Label the photos of the finished JOB again and show what changed.

    JOB is an id, its first digits, or `latest`.
    A new job labels them with the present champion. JOB keeps its results. Right after a promotion
    some workers may still use the previous champion; the command prints how many photos those
    labelled. Ctrl-C ends the display, and a running service goes on with the new job. If none runs,
    the command starts one, and Ctrl-C cancels the job. The exit status is 3 if some photos failed.

    \b
    Example:
      facetag retag latest
    """
    from facetag.client.result_stream import stream_lines
    from facetag.results.name_escapes import escape_controls
    from facetag_cli.client.job_progress import wait_for_job
    from facetag_cli.client.job_reference import find_job, short_ids
    from facetag_cli.client.kept_jobs import open_jobs
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.delivery.line_delivery import EXIT_OK, EXIT_SOME_FAILED
    from facetag_cli.output.label_changes import compare_lines
    from facetag_cli.params.interrupts import stop_on_sigterm
    from facetag_cli.reporter import Reporter

    reporter = Reporter(quiet=quiet)
    with stop_on_sigterm(), open_jobs(read_settings(data_dir), reporter, works=True) as jobs:
        client = jobs.client
        champion = client.champion_version()
        old = find_job(client, job)
        new = client.retag_job(old["id"])
        names = short_ids([new, old])
        with jobs.cancel_on_stop(new, reporter):
            reporter.say(f"Job {names[0]} labels the photos of {names[1]} again.")
            ended = wait_for_job(client, new["id"], reporter, worker_starts=jobs.own)
        lines = (stream_lines(client, [one["id"]]) for one in (old, new))
        reviewed = {line["image"] for line in client.list_reviewed(old["id"])}
        changes = compare_lines(*lines, champion=champion, reviewed=reviewed)
        click.echo(escape_controls(changes.describe()))
    ctx.exit(EXIT_OK if ended["state"] == "completed" else EXIT_SOME_FAILED)
