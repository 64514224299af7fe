"""Options that several subcommands share, so that they read and behave alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

FORMATS = ("table", "jsonl", "csv")

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def existing_parent(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: Path | None,
) -> Path | None:
    """Refuse a file whose folder does not exist before the work is done, not after."""
    if value is not None and not value.absolute().parent.is_dir():
        raise click.BadParameter(f"the folder {value.absolute().parent} does not exist.")
    return value


def output_options(command: Decorated) -> Decorated:
    """Add --format, --output and --report."""
    for option in (
        click.option(
            "--report",
            type=click.Path(dir_okay=False, writable=True, path_type=Path),
            callback=existing_parent,
            metavar="FILE.html",
            help="Also write a page that shows who is in the collection; it opens offline.",
        ),
        click.option(
            "--output",
            "-o",
            type=click.Path(dir_okay=False, writable=True, path_type=Path),
            callback=existing_parent,
            metavar="FILE",
            help="Write to a file, which appears whole or not at all.",
        ),
        click.option(
            "--format",
            "format_",
            type=click.Choice(FORMATS),
            help="How to print the results; by default a table, or what FILE's name ends in.",
        ),
    ):
        command = option(command)
    return command


def format_option(command: Decorated) -> Decorated:
    """Add --format, table or JSON."""
    return click.option(
        "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
    )(command)


def data_dir_option(command: Decorated) -> Decorated:
    """Add --data-dir."""
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Data of the service on this machine.  [FACETAG_DATA_DIR]",
    )(command)


def min_face_option(command: Decorated) -> Decorated:
    """Add --min-face."""
    return click.option(
        "--min-face",
        type=click.FloatRange(0, 1, min_open=True),
        metavar="SHARE",
        help="Smallest face to look for, as a share of a photo's long side: 0.04 unless told; "
        "smaller for crowds, which takes longer.  [FACETAG_MIN_FACE]",
    )(command)


def quiet_option(command: Decorated) -> Decorated:
    """Add --quiet."""
    return click.option(
        "--quiet", "-q", is_flag=True, help="Say nothing on standard error but what went wrong."
    )(command)


def skip_hidden_option(command: Decorated) -> Decorated:
    """Add --skip-hidden."""
    return click.option(
        "--skip-hidden", is_flag=True, help="Pass over files and folders named with a dot first."
    )(command)


def job_argument(command: Decorated) -> Decorated:
    """Add the id of a job, which must look like one."""
    return click.argument("job", type=click.UUID, metavar="JOB")(command)
