"""List jobs, the newest first (`facetag jobs`)."""

from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, format_option


@click.command()
@click.option(
    "--limit",
    "-n",
    type=click.IntRange(1, 200),
    default=20,
    show_default=True,
    help="Number of jobs to list.",
)
@format_option
@data_dir_option
def jobs(limit: int, form: str, data_dir: Path | None) -> None:
    """List jobs, the newest first: id, name, state, photos and age.

    Every command that takes a JOB accepts such a short id, or `latest`.

    \b
    Examples:
      facetag jobs
      facetag results latest
    """
    from facetag.results.name_escapes import dump_json
    from facetag_cli.client.kept_jobs import open_jobs
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.output.job_table import print_jobs
    from facetag_cli.reporter import Reporter

    with open_jobs(read_settings(data_dir), Reporter()) as opened:
        found = opened.client.list_jobs(limit=limit)
    if form == "json":
        click.echo(dump_json(found, indent=2))
    elif not found:
        click.echo("There are no jobs yet: `facetag tag FOLDER` makes one.")
    else:
        print_jobs(found)
