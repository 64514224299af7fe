"""Show and cancel the retrainings that trainer workers do."""

import json
from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, format_option


@click.group()
def retrainings() -> None:
    """Show and cancel retrainings of `facetag retrain --queue`.

    A trainer worker (`facetag worker --trainer`) does them, one at a time.

    \b
    Examples:
      facetag retrainings list
      facetag retrainings log --follow
      facetag retrainings cancel
    """


@retrainings.command("list")
@click.argument("retraining", metavar="[ID]", required=False)
@format_option
@data_dir_option
def list_command(retraining: str | None, form: str, data_dir: Path | None) -> None:
    """List the retrainings, newest first, with their state and progress.

    With ID, only that retraining is shown, in full. The beginning of an id is enough.
    """
    from facetag.db.engine import transaction
    from facetag.results.name_escapes import escape_controls
    from facetag.retraining.retraining_requests import find_retraining, list_retrainings
    from facetag_cli.client.direct_access import open_shelf
    from facetag_cli.output.retraining_summary import (
        describe_retraining,
        render_list,
        render_retraining,
    )

    with open_shelf(data_dir) as shelf, transaction(shelf.sessions) as session:
        if retraining is None:
            rows = list_retrainings(session, tenant_id=shelf.tenant_id)
        else:
            rows = [find_retraining(session, retraining, tenant_id=shelf.tenant_id)]
    if form == "json":
        click.echo(json.dumps([describe_retraining(row) for row in rows], indent=2))
    elif retraining is None:
        click.echo(escape_controls(render_list(rows)))
    else:
        click.echo(escape_controls(render_retraining(rows[0])))


@retrainings.command()
@click.argument("retraining", metavar="[ID]", required=False)
@click.option("--follow", "-f", is_flag=True, help="Wait for more lines until it has ended.")
@data_dir_option
def log(retraining: str | None, follow: bool, data_dir: Path | None) -> None:
    """Print the log of a retraining; times are UTC.

    ID can be the beginning of an id. Without ID, the newest retraining is shown. Ctrl-C stops
    --follow and leaves the retraining running.
    """
    from facetag.results.name_escapes import escape_controls
    from facetag_cli.client.direct_access import open_shelf
    from facetag_cli.output.retraining_summary import follow_log

    with open_shelf(data_dir) as shelf:
        for line in follow_log(shelf, retraining, follow=follow):
            click.echo(escape_controls(line))


@retrainings.command()
@click.argument("retraining", metavar="[ID]", required=False)
@data_dir_option
def cancel(retraining: str | None, data_dir: Path | None) -> None:
    """Cancel a retraining; it leaves no bundle.

    ID can be the beginning of an id; without it, the newest retraining is cancelled.
    """
    from facetag.db.engine import transaction
    from facetag.retraining.retraining_requests import cancel_retraining, name_retraining
    from facetag_cli.client.direct_access import open_shelf

    with open_shelf(data_dir) as shelf, transaction(shelf.sessions) as session:
        row = cancel_retraining(session, retraining, tenant_id=shelf.tenant_id)
    click.echo(f"Retraining {name_retraining(row)} is cancelled.")
