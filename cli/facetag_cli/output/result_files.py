"""Writes image lines as a table, jsonl or csv; a file appears whole or not at all."""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from facetag.results.csv_rows import csv_header, csv_rows
from facetag_cli.client.api_client import Line

FORMATS = ("table", "jsonl", "csv")
_FORMAT_OF_SUFFIX = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


def choose_format(given: str | None, output: Path | None) -> str:
    """Return the given format, or the one that the file's name asks for, or `table`."""
    if given is not None:
        return given
    return _FORMAT_OF_SUFFIX.get("" if output is None else output.suffix.lower(), "table")


@contextmanager
def open_output(path: Path | None) -> Iterator[TextIO]:
    """Open standard output, or a file that replaces `path` only if the body succeeds."""
    if path is None:
        # The locale must not decide whether a photo's name can be written.
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8")
        yield sys.stdout
        sys.stdout.flush()
    elif path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", newline="") as device:
            yield device
    else:
        with _replacing(path) as file:
            yield file


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    # Beside the target, since a rename between file systems is none. A link keeps pointing there.
    target = Path(os.path.realpath(path))
    number, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_mode_for(target))
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def _mode_for(target: Path) -> int:
    """Return what an ordinary `open` would have given: the mode it has, or the umask's."""
    with contextlib.suppress(FileNotFoundError):
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def write_lines(lines: Iterable[Line], format_: str, file: TextIO) -> None:
    """Write all lines in one of FORMATS, as they come where the format allows it."""
    if format_ == "jsonl":
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    elif format_ == "csv":
        file.write(csv_header())
        for line in lines:
            file.write(csv_rows([line]))
    else:
        from facetag_cli.output.results_table import print_table

        print_table(lines, file)
