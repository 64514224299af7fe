"""Print results as a table: one row per photo at every width of the terminal."""

import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from facetag.client.api_client import Line
from facetag.heads import HEADS_BY_NAME
from facetag.results.name_escapes import escape_name

SHOWN_FACES = 4
PLAIN_WIDTH = 120
"""Columns if the output is not a terminal and COLUMNS is not set."""
STATE_WIDTH, FACES_WIDTH, GAP = 9, 5, 2
NAME_SHARE = 0.45
"""The names' largest share of the width that the narrow columns leave."""
NARROWEST = 12
STYLES = {"tagged": "green", "no_face": "dim", "failed": "red", "cancelled": "yellow"}


def print_table(
    lines: Iterable[Line], file: TextIO, heads: Collection[str] = tuple(HEADS_BY_NAME)
) -> None:
    """Print one row per line; a long name keeps its end, which tells photos apart.

    A title names `heads`.
    """
    rows = [(printable(line["image"]), line) for line in lines]
    console = console_for(file)
    left = max(console.width - STATE_WIDTH - FACES_WIDTH - 3 * GAP, 2 * NARROWEST)
    longest = max((cell_len(name) for name, _ in rows), default=0)
    name_width = max(min(longest, int(left * NAME_SHARE)), NARROWEST)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    # Fixed widths, since rich would also shrink the short columns.
    table.add_column("Photo", no_wrap=True, width=name_width)
    table.add_column("State", no_wrap=True, width=STATE_WIDTH)
    table.add_column("Faces", justify="right", no_wrap=True, width=FACES_WIDTH)
    outcome_width = left - name_width
    table.add_column(
        f"Apparent {', '.join(heads)}" if heads else "",
        no_wrap=True,
        overflow="ellipsis",
        max_width=outcome_width,
    )
    for name, line in rows:
        state = line["state"]
        style = STYLES.get(state, "")
        table.add_row(
            Text(keep_end(name, name_width)),
            Text(state.replace("_", " "), style=style),
            Text(str(len(line["faces"])) if line["error"] is None else "", style=style),
            outcome_text(line),
        )
    console.print(table)


def keep_end(text: str, width: int) -> str:
    """Return the text cut at its beginning to at most `width` cells of a terminal."""
    if cell_len(text) <= width:
        return text
    start = len(text)
    room = width - 1
    while start > 0 and (room := room - cell_len(text[start - 1])) >= 0:
        start -= 1
    return f"…{text[start:]}"


def console_for(file: TextIO) -> Console:
    """Return a console as wide as the terminal, or of a fixed width without a terminal."""
    if file.isatty():
        return Console(file=file, highlight=False)
    columns = os.environ.get("COLUMNS", "")
    width = shutil.get_terminal_size().columns if columns.isdigit() else PLAIN_WIDTH
    return Console(file=file, highlight=False, width=width)


def outcome_text(line: Line) -> Text:
    """Return the labels of the faces, or the reason why the photo failed."""
    if line["error"] is not None:
        return Text(f"{line['error']['code']}: {printable(line['error']['message'])}", style="red")
    faces = [face_text(face) for face in line["faces"]]
    if len(faces) > SHOWN_FACES:
        faces = [*faces[:SHOWN_FACES], f"and {len(faces) - SHOWN_FACES} more"]
    return Text(" · ".join([*faces, *_incomplete(line)]))


def _incomplete(line: Line) -> list[str]:
    # A file that lacks its last bytes is labelled all the same.
    return ["incomplete file"] if line.get("incomplete") else []


def face_text(face: Mapping[str, Any]) -> str:
    """Return text such as `31 female asian?`: a question mark follows each uncertain label."""
    doubts = face.get("uncertain") or ()
    labels = {"age": None if face.get("age") is None else f"{face['age']:.0f}"}
    labels |= {head: face[head]["label"] for head in ("gender", "race") if face.get(head)}
    parts = [f"{text}{'?' * (name in doubts)}" for name, text in labels.items() if text]
    return " ".join(parts) or "a face"


def printable(text: str) -> str:
    """Return the text with control characters, and bytes of names that are not UTF-8, escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in escape_name(text)
    )


def print_faces(line: Line, file: TextIO) -> None:
    """Print one row per face of a single photo, with probabilities."""
    console = console_for(file)
    console.print(Text.assemble((printable(line["image"]), "bold"), f": {_state(line)}"))
    if not line["faces"]:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("Box (x, y, width, height)", "Age", "Gender", "Race", "Uncertain"):
        table.add_column(heading)
    for face in line["faces"]:
        low, high = face.get("age_range") or (None, None)
        gender, race = face.get("gender"), face.get("race")
        table.add_row(
            ", ".join(str(value) for value in face["box"]),
            "" if face.get("age") is None else f"{face['age']:.0f} ({low} to {high})",
            "" if not gender else f"{gender['label']} {gender['probability']:.0%}",
            "" if not race else f"{race['label']} {race['probabilities'][race['label']]:.0%}",
            ", ".join(face.get("uncertain") or ()),
        )
    console.print(table)


def _state(line: Line) -> str:
    if line["error"] is not None:
        return f"{line['error']['code']}, {printable(line['error']['message'])}"
    count = len(line["faces"])
    faces = "no face" if count == 0 else f"{count} face{'' if count == 1 else 's'}"
    return " · ".join([faces, *_incomplete(line)])
