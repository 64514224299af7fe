"""Turn the names in results into those on their owner's disk, and into text."""

from facetag.results.image_lines import Line
from facetag.results.name_escapes import escape_name, unescape_name

FIELDS = ("image", "duplicate_of")
"""The fields of a line that hold names of photos."""


def with_own_names(line: Line) -> Line:
    """Return a line of a job with the names that its photos have on their owner's disk."""
    return line | {field: _own_name(line[field]) for field in FIELDS if field in line}


def with_text_names(line: Line) -> Line:
    """Return a line whose names can be written where only text can stand."""
    return line | {field: escape_name(line[field]) for field in FIELDS if field in line}


def _own_name(text: str) -> str:
    name = unescape_name(text)
    # Another client may have given a name that only looks escaped.
    return name if escape_name(name) == text else text
