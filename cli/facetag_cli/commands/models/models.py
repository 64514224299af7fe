"""`facetag models`: the bundles of a service, which of them labels, and how one is made anew."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from facetag_cli.params.options import data_dir_option

if TYPE_CHECKING:
    from facetag.bundles.bundle_store import Shelf
    from facetag.db.tables import Promotion

FORMAT = click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)

RETRAINING = click.argument("retraining", metavar="[ID]", required=False)


@click.group()
def models() -> None:
    """Show the bundles of a service, and change which of them labels.

    One bundle is the champion: it labels all photos. What `facetag retrain` makes is a candidate;
    promoted, it takes the champion's place, and the old champion can be brought back. Workers that
    run load the new champion beside the old one and switch between two chunks.

    `status`, `log` and `cancel` are of retrainings that run by the queue.

    \b
    Examples:
      facetag models list
      facetag models promote 2026-11-24-ef719922
      facetag models rollback
    """


@models.command("list")
@FORMAT
@data_dir_option
def list_command(form: str, data_dir: Path | None) -> None:
    """List the bundles, the newest first."""
    from facetag.db.engine import transaction
    from facetag.retraining.requests import find_open
    from facetag_cli.output.bundles import describe_rows, render_rows
    from facetag_cli.output.retraining import mention_retraining

    with _open_shelf(data_dir) as shelf:
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
@FORMAT
@data_dir_option
def show(version: str, form: str, data_dir: Path | None) -> None:
    """Show one bundle: where it comes from, its figures, and how it did against the champion.

    VERSION may be the end of a version, such as ef719922.
    """
    from facetag_cli.output.bundles import describe_bundle, render_bundle

    with _open_shelf(data_dir) as shelf:
        found = describe_bundle(shelf.find(version))
    click.echo(json.dumps(found, indent=2) if form == "json" else render_bundle(found))


@models.command()
@click.argument("version", metavar="VERSION|FOLDER")
@click.option("--force", is_flag=True, help="Also where it did not hold against the champion.")
@data_dir_option
def promote(version: str, force: bool, data_dir: Path | None) -> None:
    """Make a bundle the champion, which labels from now on.

    A FOLDER is that of a bundle, such as RUN/bundle of `facetag train`: it is checked, stored and
    promoted. A version that did not hold against the champion is refused without --force.
    """
    folder = Path(version)
    with _open_shelf(data_dir) as shelf:
        if folder.is_dir():
            version = shelf.store(folder)
        _tell(shelf.promote(version, force=force))


@models.command()
@data_dir_option
def rollback(data_dir: Path | None) -> None:
    """Bring back the champion that the present one took the place of."""
    with _open_shelf(data_dir) as shelf:
        _tell(shelf.roll_back())


@models.command()
@RETRAINING
@FORMAT
@data_dir_option
def status(retraining: str | None, form: str, data_dir: Path | None) -> None:
    """Show how far a retraining of `facetag retrain --queue` is, or what came of it.

    ID may be the beginning of an id; without it the newest is shown.
    """
    from facetag.db.engine import transaction
    from facetag.retraining.requests import find_retraining
    from facetag_cli.output.retraining import describe_retraining, render_retraining

    with _open_shelf(data_dir) as shelf, transaction(shelf.sessions) as session:
        row = find_retraining(session, retraining, tenant_id=shelf.tenant_id)
    found = describe_retraining(row)
    click.echo(json.dumps(found, indent=2) if form == "json" else render_retraining(row))


@models.command()
@RETRAINING
@click.option("--follow", "-f", is_flag=True, help="Wait for more lines until it has ended.")
@data_dir_option
def log(retraining: str | None, follow: bool, data_dir: Path | None) -> None:
    """Print the log of a retraining of `facetag retrain --queue`; times are UTC.

    ID may be the beginning of an id; without it the newest is shown. Ctrl-C ends the following, not
    the retraining.
    """
    from facetag_cli.output.retraining import follow_log

    with _open_shelf(data_dir) as shelf:
        for line in follow_log(shelf, retraining, follow=follow):
            click.echo(line)


@models.command()
@RETRAINING
@data_dir_option
def cancel(retraining: str | None, data_dir: Path | None) -> None:
    """End a retraining of `facetag retrain --queue`; nothing of it becomes visible.

    ID may be the beginning of an id; without it the newest is ended.
    """
    from facetag.db.engine import transaction
    from facetag.retraining.requests import cancel_retraining, name_retraining

    with _open_shelf(data_dir) as shelf, transaction(shelf.sessions) as session:
        row = cancel_retraining(session, retraining, tenant_id=shelf.tenant_id)
    click.echo(f"Retraining {name_retraining(row)} is cancelled.")


@contextmanager
def _open_shelf(data_dir: Path | None) -> Iterator["Shelf"]:
    from facetag.bundles.bundle_store import Shelf
    from facetag.standalone.connections import use_servers
    from facetag_cli.client.service import read_settings
    from facetag_cli.output.progress import Reporter

    with (
        use_servers(read_settings(data_dir), on_event=Reporter().say) as settings,
        closing(Shelf(settings)) as shelf,
    ):
        yield shelf


def _tell(promotion: "Promotion") -> None:
    before: Any = promotion.previous or "none"
    click.echo(f"{promotion.version} is the champion; before it was {before}.")
