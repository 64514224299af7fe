"""Make, list and revoke the keys of a service (`facetag keys`)."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from facetag.errors import ApiUnavailable
from facetag_cli.params.options import data_dir_option, format_option

if TYPE_CHECKING:
    from facetag.db.tables import ApiKey

Command = TypeVar("Command", bound=Callable[..., Any])
SCOPES = ("read", "jobs", "review", "admin")
COLUMNS = {
    "id": 14,
    "kind": 9,
    "tenant": 16,
    "scope": 8,
    "expires_at": 22,
    "last_used_at": 22,
    "name": 0,
}
"""The columns of the list and their widths."""
_LIFE = re.compile(r"(?P<number>[1-9][0-9]{0,4})(?P<unit>[hd])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1)}


def read_life(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> timedelta | None:
    """Return the time from now until `value`: a length of time such as 12h or 90d, or a date."""
    match = _LIFE.fullmatch(value or "")
    if value is None or match is not None:
        return match and int(match["number"]) * _UNITS[match["unit"]]
    try:
        until = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(
            f"{value} is not a time: give one such as 12h, 90d or 2027-01-31."
        ) from error
    return until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)


def scope_option(default: str) -> Callable[[Command], Command]:
    """Return the option that says what a key allows."""
    return click.option(
        "--scope",
        type=click.Choice(SCOPES),
        default=default,
        show_default=True,
        help="read: results only; jobs: also make and delete jobs; review: also correct labels; "
        "admin: everything.",
    )


@click.group()
def keys() -> None:
    """Make, list and revoke keys of the service.

    Every request to the API needs a key. `facetag up` and `facetag tag` keep one in the data
    folder, so that commands on the same machine and account need none. The commands work on the
    database that FACETAG_DATABASE_URL names, or on the data folder's own.

    \b
    Examples:
      facetag keys create --name museum --tenant museum --scope jobs --expires 90d
      facetag keys list
      facetag keys revoke 0a1b2c3d4e5f
    """


@keys.command()
@click.option("--name", required=True, help="Who uses the key; the audit log shows it.")
@click.option("--tenant", help="Tenant whose jobs the key sees. Default: FACETAG_TENANT_ID.")
@scope_option("jobs")
@click.option(
    "--expires",
    callback=read_life,
    metavar="TIME",
    help="When the key ends: 12h, 90d or a date. Default: never.",
)
@data_dir_option
def create(
    name: str, tenant: str | None, scope: str, expires: timedelta | None, data_dir: Path | None
) -> None:
    """Make a key and print it. It is shown only now.

    Clients send it as `Authorization: Bearer KEY`; the command line takes it from FACETAG_API_KEY.
    """
    from facetag.access.keys import Scope, create_key
    from facetag_cli.client.direct_access import open_database
    from facetag_cli.client.service_choice import read_settings

    settings = read_settings(data_dir)
    with open_database(settings) as session:
        token = create_key(
            session,
            name=name,
            tenant_id=tenant or settings.tenant_id,
            scope=Scope(scope),
            life=expires,
        )
    click.echo(token.text)


@keys.command("list")
@format_option
@data_dir_option
def list_command(form: str, data_dir: Path | None) -> None:
    """List the valid keys and the page's sessions, without their secrets."""
    from facetag.access.keys import list_keys
    from facetag.results.name_escapes import escape_controls
    from facetag_cli.client.direct_access import open_database
    from facetag_cli.client.service_choice import read_settings

    with open_database(read_settings(data_dir)) as session:
        rows = [_describe(row) for row in list_keys(session)]
    if form == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    titles: dict[str, str | None] = {
        name: name.removesuffix("_at").replace("_", " ").upper() for name in COLUMNS
    }
    for row in [titles, *rows]:
        cells = (f"{row[name] or 'never':<{width}}" for name, width in COLUMNS.items())
        click.echo(escape_controls("".join(cells)))


@keys.command()
@click.argument("key_id", metavar="ID")
@data_dir_option
def revoke(key_id: str, data_dir: Path | None) -> None:
    """Revoke a key for good; a running service notices within five seconds."""
    from facetag.access.keys import revoke_key
    from facetag.results.name_escapes import escape_controls
    from facetag_cli.client.direct_access import open_database
    from facetag_cli.client.service_choice import read_settings

    with open_database(read_settings(data_dir)) as session:
        row = revoke_key(session, key_id)
    click.echo(escape_controls(f"The key {row.id} ({row.name}) is revoked."))


@keys.command()
@click.option(
    "--name",
    default="page",
    show_default=True,
    help="Who opens the page; reviews and the audit log show it.",
)
@scope_option("admin")
@data_dir_option
def link(name: str, scope: str, data_dir: Path | None) -> None:
    """Print a link that opens the page in a browser; it works once, within an hour.

    FACETAG_API_URL gives the address of the page if the service does not run on the data folder.

    \b
    Example:
      facetag keys link --name ben --scope review
    """
    from facetag.access.keys import Scope
    from facetag.standalone.announcements import find_running
    from facetag.standalone.folder_owner import require_own
    from facetag.standalone.local_key import make_page_link
    from facetag_cli.client.direct_access import open_database
    from facetag_cli.client.service_choice import read_settings

    settings = read_settings(data_dir)
    api_url = settings.api_url or find_running(settings.data_dir)
    if api_url is None:
        require_own(settings.data_dir)
        raise ApiUnavailable(
            f"No service runs on {settings.data_dir}. Start one with `facetag up`, or set "
            "FACETAG_API_URL to the address of the service."
        )
    with open_database(settings) as session:
        made = make_page_link(
            session,
            api_url.rstrip("/"),
            tenant_id=settings.tenant_id,
            name=name,
            scope=Scope(scope),
        )
    click.echo(made)


def _describe(row: "ApiKey") -> dict[str, str | None]:
    return {
        "id": row.id,
        "kind": row.kind,
        "name": row.name,
        "tenant": row.tenant_id,
        "scope": row.scope,
        "created_at": _shown(row.created_at),
        "expires_at": _shown(row.expires_at),
        "last_used_at": _shown(row.last_used_at),
    }


def _shown(time: datetime | None) -> str | None:
    return None if time is None else f"{time:%Y-%m-%dT%H:%M:%SZ}"
