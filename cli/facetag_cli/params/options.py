"""Define options that several subcommands share, so that they read and behave alike."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from facetag.heads import HEADS_BY_NAME, NO_HEADS
from facetag_cli.params.number_words import FiniteRange
from facetag_cli.params.targets import FORMATS, report_target, writable_target

if TYPE_CHECKING:
    from facetag.client.api_client import JobWish

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def output_options(command: Decorated) -> Decorated:
    """Add --format, --output, --report, --min-certainty and --raw."""
    for option in (
        click.option(
            "--raw",
            is_flag=True,
            help="Write CSV for machines: do not escape names that a spreadsheet may take for "
            "formulas.",
        ),
        click.option(
            "--min-certainty",
            type=FiniteRange(0, 1),
            metavar="SHARE",
            help="Write uncertain labels as null: those that the network marks as uncertain, and "
            "those less probable than SHARE. A report keeps them and marks them.",
        ),
        click.option(
            "--report",
            type=click.Path(dir_okay=False, writable=True, path_type=Path),
            callback=report_target,
            metavar="FILE.html",
            help="Also write an HTML report on who is in the collection. It opens offline.",
        ),
        click.option(
            "--output",
            "-o",
            type=click.Path(dir_okay=False, writable=True, path_type=Path),
            callback=writable_target,
            metavar="FILE",
            help="Write the results to FILE (.jsonl, .csv, .parquet or .html) instead of standard "
            "output. FILE is replaced only once the results are complete.",
        ),
        click.option(
            "--format",
            "format_",
            type=click.Choice(FORMATS),
            help="Format of the results. Default: the one that FILE's suffix names, else a table.",
        ),
    ):
        command = option(command)
    return command


class HeadList(click.ParamType[tuple[str, ...]]):
    """Attributes, separated by commas; `none` for no attribute."""

    name = "heads"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the attributes' names in their own order; fails for unknown ones."""
        asked = [part.strip() for part in str(value).split(",") if part.strip()]
        if asked == [NO_HEADS]:
            return ()
        if not asked or set(asked) - set(HEADS_BY_NAME):
            known = ", ".join(HEADS_BY_NAME)
            self.fail(f"{value!r}: give one or more of {known}, or {NO_HEADS}.", param, ctx)
        return tuple(name for name in HEADS_BY_NAME if name in asked)


def wish_options(command: Decorated) -> Decorated:
    """Add --heads and --purpose."""
    command = click.option(
        "--purpose",
        metavar="TEXT",
        help="State what the labels are for. A service may accept only purposes that it lists.",
    )(command)
    return click.option(
        "--heads",
        type=HeadList(),
        metavar="NAMES",
        help="Label only these attributes, separated by commas: age, gender, race. `none` only "
        "finds faces. Default: all that the service labels.",
    )(command)


def make_wish(
    heads: tuple[str, ...] | None,
    purpose: str | None,
    *,
    counts_only: bool = False,
    keep_photos: bool = False,
) -> "JobWish":
    """Return the wish of a new job that these options state."""
    wish: JobWish = {}
    if heads is not None:
        wish["heads"] = list(heads)
    if purpose is not None:
        wish["purpose"] = purpose
    if counts_only or keep_photos:
        wish["store"] = "aggregate" if counts_only else "photos"
    return wish


def format_option(command: Decorated) -> Decorated:
    """Add --format, table or JSON."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="Print a table or one JSON object.",
    )(command)


def data_dir_option(command: Decorated) -> Decorated:
    """Add --data-dir."""
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Data folder of the service on this machine.  [FACETAG_DATA_DIR]",
    )(command)


def report_photos_option(command: Decorated) -> Decorated:
    """Add --photos, for the report of a job that ended earlier."""
    return click.option(
        "--photos",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        metavar="FOLDER",
        help="Folder in which the photos of the report lie now. Default: where they were when they "
        "were sent, else the service's copies.",
    )(command)


def min_face_option(command: Decorated) -> Decorated:
    """Add --min-face."""
    return click.option(
        "--min-face",
        type=FiniteRange(0, 1, min_open=True),
        metavar="SHARE",
        help="Smallest face to detect, as a share of the photo's long side. Default: 0.04. A "
        "smaller value finds more faces in crowds and takes longer.  [FACETAG_MIN_FACE]",
    )(command)


def quiet_option(command: Decorated) -> Decorated:
    """Add --quiet."""
    return click.option(
        "--quiet", "-q", is_flag=True, help="Print only warnings and errors on standard error."
    )(command)


class JobReference(click.ParamType[str]):
    """A job's id, its first digits, or `latest`."""

    name = "job"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the reference in lower case; fails for what can be none."""
        reference = str(value).strip().lower()
        if reference != "latest" and not re.fullmatch("[0-9a-f][0-9a-f-]{0,35}", reference):
            self.fail(
                f"{value!r} is not a job: give its id, the first digits of its id, or `latest`. "
                "`facetag jobs` lists them.",
                param,
                ctx,
            )
        return reference


def job_argument(command: Decorated) -> Decorated:
    """Add a job: its id, its first digits, or `latest`."""
    return click.argument("job", type=JobReference(), metavar="JOB")(command)
