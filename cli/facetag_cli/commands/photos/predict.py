"""Label the faces in one photo at once (`facetag predict`)."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from facetag_cli.params.options import data_dir_option, quiet_option

if TYPE_CHECKING:
    from facetag.client.api_client import ApiClient, Line

WARM_UP_S = 180.0
"""How long to wait for the worker of a service that this command has started."""


@click.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Format of the result.",
)
@data_dir_option
@quiet_option
@click.pass_context
def predict(
    ctx: click.Context, image: Path, format_: str, data_dir: Path | None, quiet: bool
) -> None:
    """Label the faces in one photo, IMAGE, before all running jobs.

    The service is found in the same way as for `facetag tag`. For more than a few photos
    `facetag tag` is faster.

    \b
    Exit status:
      0  the photo is tagged or has no face
      1  the run failed
      2  an argument is wrong
      3  the photo failed

    \b
    Example:
      facetag predict portrait.jpg --format json
    """
    from facetag.client.api_client import ApiClient
    from facetag.results.name_escapes import escape_name
    from facetag_cli.client.service_choice import read_settings, use_service
    from facetag_cli.delivery.line_delivery import EXIT_OK, EXIT_SOME_FAILED
    from facetag_cli.params.interrupts import stop_on_sigterm
    from facetag_cli.reporter import Reporter

    settings = read_settings(data_dir)
    data = read_image(image, settings.max_image_bytes)
    with (
        stop_on_sigterm(),
        use_service(settings, Reporter(quiet=quiet)) as service,
        ApiClient(service) as client,
    ):
        if service.own or service.lingers:
            wait_for_worker(client)
        timeout_s = settings.predict_timeout_s + 30
        line = client.predict(escape_name(image.name), data, timeout_s=timeout_s)
    print_line(line | {"image": image.name}, format_)
    ctx.exit(EXIT_OK if line["error"] is None else EXIT_SOME_FAILED)


def read_image(image: Path, max_bytes: int) -> bytes:
    """Return the file's bytes; raise click.ClickException if it is too large or unreadable."""
    from facetag.inputs.photo_files import describe_photo, unreadable

    photo = describe_photo(image, None)
    refusal = photo.refusal(max_bytes)
    if refusal is not None:
        raise click.ClickException(f"{image}: {refusal[1]}")
    try:
        return photo.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{image}: {unreadable(error)}") from error


def wait_for_worker(client: "ApiClient", *, timeout_s: float = WARM_UP_S) -> None:
    """Wait until a worker has loaded its network, for at most `timeout_s`."""
    due = time.monotonic() + timeout_s
    while client.readiness().get("worker") != "ok" and time.monotonic() < due:
        time.sleep(0.5)


def print_line(line: "Line", format_: str) -> None:
    """Print the photo's line as JSON, or one row per face."""
    from facetag.results.name_escapes import dump_json

    if format_ == "json":
        click.echo(dump_json(line, indent=2))
        return
    import sys

    from facetag_cli.output.results_table import print_faces

    print_faces(line, sys.stdout)
