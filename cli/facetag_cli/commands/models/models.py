"""Show the bundles of a service, and change the champion."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from facetag_cli.params.options import data_dir_option, format_option

if TYPE_CHECKING:
    from facetag.db.tables import Promotion


@click.group()
def models() -> None:
    """Show a service's bundles, and choose the one that labels.

    A bundle is a network with its manifest. The champion labels all photos. `facetag retrain` makes
    a candidate; a promoted candidate becomes the champion, and `rollback` brings the previous
    champion back. Running workers load the new champion beside the old one and switch between two
    chunks.

    \b
    Examples:
      facetag models list
      facetag models promote 2026-11-24-ef719922
      facetag models promote runs/train/bundle --force
      facetag models rollback
    """


@models.command("list")
@format_option
@data_dir_option
def list_command(form: str, data_dir: Path | None) -> None:
    """List the bundles, newest first."""
    from facetag.db.engine import transaction
    from facetag.retraining.retraining_requests import find_open
    from facetag_cli.client.direct_access import open_shelf
    from facetag_cli.output.bundle_tables import describe_rows, render_rows
    from facetag_cli.output.retraining_summary import mention_retraining

    with open_shelf(data_dir) as shelf:
        rows = describe_rows(shelf.rows())
        with transaction(shelf.sessions) as session:
            retraining = find_open(session, tenant_id=shelf.tenant_id)
    if form == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    click.echo(render_rows(rows))
    if retraining is not None:
        click.echo(mention_retraining(retraining))


@models.command()
@click.argument("version")
@format_option
@data_dir_option
def show(version: str, form: str, data_dir: Path | None) -> None:
    """Show one bundle: its origin, its figures, and its comparison with the champion.

    VERSION can be the end of a version, such as ef719922.
    """
    from facetag_cli.client.direct_access import open_shelf
    from facetag_cli.output.bundle_tables import describe_bundle, render_bundle

    with open_shelf(data_dir) as shelf:
        found = describe_bundle(shelf.find(version))
    click.echo(json.dumps(found, indent=2) if form == "json" else render_bundle(found))


@models.command()
@click.argument("version", metavar="VERSION|FOLDER")
@click.option(
    "--force",
    is_flag=True,
    help="Promote a version that failed the comparison with the champion, or never had one.",
)
@data_dir_option
def promote(version: str, force: bool, data_dir: Path | None) -> None:
    """Make a bundle the champion, which labels all photos from now on.

    FOLDER is the folder of a bundle, such as RUN/bundle of `facetag train`: it is checked, stored
    and promoted. Nothing is measured here: a version that `facetag retrain` did not compare with
    the champion, or that failed the comparison, needs --force.
    """
    from facetag_cli.client.direct_access import open_shelf

    folder = Path(version)
    with open_shelf(data_dir) as shelf:
        if folder.is_dir():
            version = shelf.store(folder)
        _tell(shelf.promote(version, force=force))


@models.command()
@data_dir_option
def rollback(data_dir: Path | None) -> None:
    """Make the previous champion the champion again."""
    from facetag_cli.client.direct_access import open_shelf

    with open_shelf(data_dir) as shelf:
        _tell(shelf.roll_back())


def _tell(promotion: "Promotion") -> None:
    before: Any = promotion.previous or "none"
    click.echo(f"{promotion.version} is the champion now; the previous champion is {before}.")
