"""Check, before any work begins, that results can be written where and how they are asked for."""

import json
from pathlib import Path

import click

from facetag.atomic_write import atomic_draft
from facetag.extras import require_packages
from facetag.image_formats import IMAGE_SUFFIXES

FORMATS = ("table", "jsonl", "csv", "parquet", "html")
_FORMAT_OF_SUFFIX = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".html": "html",
    ".htm": "html",
}
_FILES_ONLY = ("parquet", "html")
_LINE_START = b'{"image": '
"""The first bytes of every line of results."""
_END_BYTES = 2**24
"""Bytes of a file in which its last line is looked for: a photo of a crowd has a long one."""


class _Unchanged(Exception):
    """The probe has shown that the target can be written; it stays as it is."""


def writable_target(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: Path | None,
) -> Path | None:
    """Refuse a file that cannot be written, or that is named as a photo (`require_writable`)."""
    if value is not None:
        require_writable(value)
    return value


def require_writable(file: Path, option: str | None = None) -> None:
    """Raise click.BadParameter if a file cannot be written, or is named as a photo.

    A draft is made beside it, and deleted again. `option` is what the file was given by, where no
    callback says so.
    """
    try:
        _try_to_write(file)
    except _Unchanged:
        pass
    except OSError as error:
        raise click.BadParameter(unwritable(file, error), param_hint=option) from error
    except click.BadParameter as error:
        error.param_hint = option
        raise


def unwritable(place: Path, error: OSError, *, kind: str = "file") -> str:
    """Return the message about a file, or a folder, that cannot be written."""
    return f"{place} cannot be written: {error.strerror or error}. Name a {kind} elsewhere."


def _try_to_write(file: Path) -> None:
    if file.exists() and not file.is_file():
        return
    if file.suffix.lower() in IMAGE_SUFFIXES:
        raise click.BadParameter(f"{file} is named as a photo: give the file another suffix.")
    folder = file.absolute().parent
    if not folder.is_dir():
        raise click.BadParameter(f"the folder {folder} does not exist.")
    with atomic_draft(file) as draft:
        # A full disk refuses the first byte.
        draft.write_bytes(b"\n")
        raise _Unchanged


def report_target(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a file for an HTML report that is named otherwise, or that cannot be written."""
    target = writable_target(ctx, param, value)
    if target is not None and _FORMAT_OF_SUFFIX.get(target.suffix.lower()) != "html":
        raise click.BadParameter(f"{target}: a report is HTML, so its file ends in .html.")
    return target


def appended_target(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a file to which lines of JSON cannot be appended, or that holds anything else."""
    target = writable_target(ctx, param, value)
    if target is None or (target.exists() and not target.is_file()):
        return target
    suffixes = [suffix for suffix, format_ in _FORMAT_OF_SUFFIX.items() if format_ == "jsonl"]
    if target.suffix.lower() not in suffixes:
        raise click.BadParameter(
            f"{target}: lines of JSON are appended, so its name ends in {' or '.join(suffixes)}."
        )
    try:
        ends_well = _ends_as_results(target)
    except FileNotFoundError:
        return target
    except OSError as error:
        raise click.BadParameter(
            f"{target} cannot be read: {error.strerror}. Name another file."
        ) from error
    if not ends_well:
        raise click.BadParameter(
            f"{target} ends with a line that is not of facetag's results: name another file."
        )
    return target


def _ends_as_results(file: Path) -> bool:
    """Return whether the last line of a file is a result of facetag, or one that a kill cut."""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - _END_BYTES))
        *lines, cut = stream.read().split(b"\n")
    if not (cut.startswith(_LINE_START) or _LINE_START.startswith(cut)):
        return False
    last = next((line for line in reversed(lines) if line.strip()), None)
    return last is None or _is_result(last)


def _is_result(line: bytes) -> bool:
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and found.keys() >= {"image", "state", "error", "faces"}


def choose_format(given: str | None, output: Path | None) -> str:
    """Return the format of the results: the given one, else that of the file's suffix, else table.

    Raises click.UsageError for a suffix without a format, for one that contradicts the given
    format, and for a format that needs a file; PackageMissing where parquet cannot be written.
    """
    is_file = output is not None and not (output.exists() and not output.is_file())
    named = _FORMAT_OF_SUFFIX.get(output.suffix.lower()) if output is not None else None
    if given is None and is_file and named is None:
        raise click.UsageError(
            f"--output {output}: the suffix names no format. Give one of "
            f"{', '.join(_FORMAT_OF_SUFFIX)}, or --format."
        )
    if given is not None and named is not None and given != named:
        raise click.UsageError(
            f"--format {given} contradicts --output {output}, which names {named}: drop one."
        )
    chosen = given or named or "table"
    if chosen in _FILES_ONLY and not is_file:
        raise click.UsageError(f"--format {chosen} needs a file: give --output FILE.{chosen}.")
    if chosen == "parquet":
        require_packages("pyarrow")
    return chosen
