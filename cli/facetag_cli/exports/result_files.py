"""Write results as a table, JSON lines, CSV or Parquet; a file is replaced once it is complete."""

import os
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from facetag.atomic_write import atomic_open, atomic_open_text
from facetag.client.api_client import Line
from facetag.disk_space import explained_full_disk
from facetag.results.csv_rows import ALL_HEADS, csv_header, csv_rows
from facetag.results.line_names import with_text_names
from facetag.results.name_escapes import dump_json


@contextmanager
def open_output(path: Path | None, *, needed: int = 0, private: bool = True) -> Iterator[TextIO]:
    """Open standard output, or a file that replaces `path` if the body succeeds.

    A new file can be read by its owner alone if it is `private`. Raises DiskFull, which says that
    about `needed` bytes are needed.
    """
    if path is None:
        with explained_full_disk("standard output", None, needed), standard_output() as stream:
            yield stream
    else:
        with (
            explained_full_disk(str(path), _disk_of(path), needed),
            _open(path, private=private) as file,
        ):
            yield file


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Yield standard output, and flush it; after an error nothing more is written to it."""
    # Photos' names must be writable in every locale.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8")
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError:
        # Python would try, and complain, once more when it ends.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - open until the process ends
        raise


@contextmanager
def _open(path: Path, *, private: bool) -> Iterator[TextIO]:
    if _is_no_file(path):
        with path.open("w", encoding="utf-8", newline="") as device:
            yield device
    else:
        mode = _mode_of(path) if private else None
        with atomic_open_text(path, fsync=True, mode=mode) as file:
            yield file


def write_results(
    lines: Iterable[Line],
    format_: str,
    output: Path | None,
    *,
    heads: Collection[str] = ALL_HEADS,
    raw: bool = False,
    needed: int = 0,
) -> os.stat_result | None:
    """Write all lines to a file or standard output; most formats are written as the lines come.

    Tables and CSV have columns for `heads` alone. With `raw`, CSV is for machines (`csv_rows`).
    Parquet needs a file and the extra `tables`. Returns the status of a file of text before others
    can change it. Raises DiskFull, as `open_output` does.
    """
    if format_ == "parquet" and output is not None:
        from facetag.results.face_table import write_parquet

        with (
            explained_full_disk(str(output), _disk_of(output), needed),
            atomic_open(output, fsync=True, mode=_mode_of(output)) as target,
        ):
            write_parquet(lines, target)
        return None
    with open_output(output, needed=needed) as file:
        write_lines(lines, format_, file, heads=heads, raw=raw)
        file.flush()
        return None if output is None else os.fstat(file.fileno())


def _disk_of(path: Path) -> Path | None:
    """Return the folder on whose disk a file lies; None for a device or a pipe."""
    return None if _is_no_file(path) else path.absolute().parent


def _is_no_file(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _mode_of(path: Path) -> int | None:
    """Return the permissions of a new file, which only its owner may read; None for an old one."""
    return None if path.exists() else 0o600


def write_lines(
    lines: Iterable[Line],
    format_: str,
    file: TextIO,
    *,
    heads: Collection[str] = ALL_HEADS,
    raw: bool = False,
) -> None:
    """Write all lines as text: jsonl, csv or table."""
    if format_ == "jsonl":
        for line in lines:
            file.write(dump_json(line) + "\n")
    elif format_ == "csv":
        file.write(csv_header(heads))
        for line in lines:
            file.write(csv_rows([with_text_names(line)], heads, raw=raw))
    else:
        from facetag_cli.output.results_table import print_table

        print_table(lines, file, heads)
