"""Show who did what to a service's data (`facetag audit-log`)."""

import json
from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, format_option


@click.command("audit-log")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@format_option
@data_dir_option
def audit_log(limit: int, form: str, data_dir: Path | None) -> None:
    """Show who did what to a service's data, the newest first.

    Lines hold times, keys, actions and numbers; never a face, a label or a photo's name.

    \b
    Example:
      facetag audit-log --limit 20
    """
    from facetag.client.api_client import ApiClient
    from facetag.results.name_escapes import escape_controls
    from facetag_cli.client.service_choice import read_settings, require_service

    with ApiClient(require_service(read_settings(data_dir))) as client:
        lines = client.read_audit_log(limit=limit)
    if form == "json":
        click.echo(json.dumps(lines, indent=2))
        return
    for line in lines:
        shown = (
            f"{line['created_at'][:19]}Z  {line['action']:<16} {line['number']:>8}  "
            f"{line['subject']}  by {line['actor']}"
        )
        click.echo(escape_controls(shown))
