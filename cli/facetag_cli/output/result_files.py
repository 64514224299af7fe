"""Write image lines as a table, JSON lines or CSV; a file is replaced only once it is complete."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from facetag.atomic_write import atomic_open_text
from facetag.client.api_client import Line
from facetag.results.csv_rows import csv_header, csv_rows

FORMATS = ("table", "jsonl", "csv")
_FORMAT_OF_SUFFIX = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


def choose_format(given: str | None, output: Path | None) -> str:
    """Return the given format, else the one that the file's suffix names, else `table`."""
    if given is not None:
        return given
    return _FORMAT_OF_SUFFIX.get("" if output is None else output.suffix.lower(), "table")


@contextmanager
def open_output(path: Path | None) -> Iterator[TextIO]:
    """Open standard output, or a file that replaces `path` if the body succeeds."""
    if path is None:
        # Photos' names must be writable in every locale.
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8")
        yield sys.stdout
        sys.stdout.flush()
    elif path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", newline="") as device:
            yield device
    else:
        with atomic_open_text(path, fsync=True) as file:
            yield file


def write_lines(lines: Iterable[Line], format_: str, file: TextIO) -> None:
    """Write all lines in one of FORMATS; JSON lines and CSV are written as the lines come."""
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
