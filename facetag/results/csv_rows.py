"""Write results as CSV, with the same columns for the API and the command line."""

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from facetag.heads import HEADS_BY_NAME, RACE
from facetag.results.name_escapes import escape_cell

IMAGE_COLUMNS = (
    "image",
    "state",
    "error_code",
    "error_message",
    "model",
    "width",
    "height",
)
FACE_COLUMNS = (
    "face",
    "x",
    "y",
    "face_width",
    "face_height",
    "confidence",
    "age",
    "age_low",
    "age_high",
    "gender",
    "gender_probability",
    "race",
    *(f"race_{label}" for label in RACE.labels),
    "uncertain",
    "turned",
)
LAST_COLUMNS = ("incomplete", "duplicate_of", "reviewed")
"""Columns that were added later; they stand last, so that no column has moved."""
COLUMNS = IMAGE_COLUMNS + FACE_COLUMNS + LAST_COLUMNS


ALL_HEADS = tuple(HEADS_BY_NAME)


def csv_header(heads: Collection[str] = ALL_HEADS) -> str:
    """Return the header line with its line end; heads that were not labelled have no columns."""
    return _write_rows([without_other_heads(COLUMNS, heads)])


def csv_rows(
    lines: Iterable[Mapping[str, Any]], heads: Collection[str] = ALL_HEADS, *, raw: bool = False
) -> str:
    """Return the rows of image lines (`facetag.results.image_lines.image_line`), one per face.

    An image without a face gets one row with empty face columns. Unless `raw`, control characters
    and a leading =, +, - or @ of text are written as `escape_cell` does: no name is a formula.
    """
    rows = (row for line in lines for row in rows_of_line(line, raw=raw))
    return _write_rows(without_other_heads(row, heads) for row in rows)


def rows_of_line(line: Mapping[str, Any], *, raw: bool = False) -> Iterator[tuple[Any, ...]]:
    """Yield the cells of one image's rows; None is an empty cell."""
    error = line["error"] or {}
    escape = str if raw else escape_cell
    image_cells = (
        escape(line["image"]),
        line["state"],
        error.get("code"),
        escape(error["message"]) if error else None,
        line["model"],
        line["width"],
        line["height"],
    )
    incomplete = "true" if line.get("incomplete") else None
    last_cells = (incomplete, escape(line.get("duplicate_of") or "") or None)
    if not line["faces"]:
        yield (*image_cells, *(None for _ in FACE_COLUMNS), *last_cells, None)
    for index, face in enumerate(line["faces"]):
        verdict = (face.get("reviewed") or {}).get("verdict")
        yield (*image_cells, index, *_face_cells(face), *last_cells, verdict)


def _face_cells(face: Mapping[str, Any]) -> tuple[Any, ...]:
    # A head that FACETAG_HEADS leaves out has no field, so its cells stay empty.
    age_range = face.get("age_range") or (None, None)
    gender = face.get("gender") or {}
    race = face.get("race") or {}
    probabilities = race.get("probabilities") or {}
    return (
        *face["box"],
        face["confidence"],
        face.get("age"),
        *age_range,
        gender.get("label"),
        gender.get("probability"),
        race.get("label"),
        *(probabilities.get(label) for label in RACE.labels),
        " ".join(face.get("uncertain") or ()) or None,
        face.get("turned"),
    )


def without_other_heads(row: Sequence[Any], heads: Collection[str]) -> Sequence[Any]:
    """Return the cells of a row with all COLUMNS, without those of other heads."""
    off = tuple(name for name in ALL_HEADS if name not in heads)
    if not off:
        return row
    return [cell for cell, name in zip(row, COLUMNS, strict=True) if not name.startswith(off)]


def _write_rows(rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
