r"""Write file names that are not UTF-8 as text from which the very bytes can be found again.

A name is held as Python holds paths: a byte that is not UTF-8 is a lone surrogate (PEP 383,
"surrogateescape"). JSON lines keep that as `\udcNN`. Where only text can stand, such a byte is
`\xNN`.
"""

import json
import re
from typing import Any

MAX_NAME = 4 * 4096
"""The longest name of an image in a job: a path of Linux with each of its bytes as `\\xNN`."""

_LONE = re.compile("[\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2}))")
_MARKS = r"\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""Control characters, separators of lines, and marks that turn the direction of what follows."""
_SIGNS = r"[=+@\uff1d\uff0b\uff20\uff0d\ufe62\ufe63\ufe66\ufe6b\u2212-]"
_PASSED_OVER = r"""["'\s\xad\u180e\u200b-\u200d\u2060\ufeff]*"""
"""What a spreadsheet may leave out before a sign: blanks, also unseen ones, and quotes."""
_UNSAFE = re.compile(
    rf"[\x00-\x09\x0b-\x1f{_MARKS}]|\A{_PASSED_OVER}{_SIGNS}|[;\n](?={_PASSED_OVER}{_SIGNS})"
)
"""Characters that break rows or show another text, and first ones that make a cell a formula.

Where numbers are written with commas, spreadsheets begin a new cell at a semicolon and find no
quotes around a name, so that a row ends with a line feed.
"""
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
"""`json.dumps` would make an encoder for each line."""
_UNSHOWN = re.compile(rf"[\ud800-\udfff{_MARKS}]")
_STEERING = re.compile(rf"[\x00-\x08\x0b-\x1f{_MARKS}]")


def escape_name(name: str) -> str:
    r"""Return a name with `\xNN` for each byte that is not UTF-8; no two names give the same text.

    Only in such a name, and in one that could be taken for the result, a backslash is doubled.
    """
    if not _LONE.search(name) and not _ESCAPE.search(name):
        return name
    data = name.replace("\\", "\\\\").encode("utf-8", "surrogateescape")
    return data.decode("utf-8", "backslashreplace")


def unescape_name(text: str) -> str:
    """Return the name that `escape_name`, or `escape_cell` after it, made this text of."""
    if not _ESCAPE.search(text):
        return text
    parts = re.split(r"(\\\\|\\x[0-9a-f]{2})", text)
    data = b"".join(map(_unescape, parts))
    return data.decode("utf-8", "surrogateescape")


def escape_cell(text: str) -> str:
    r"""Return text for a cell of CSV: `\xNN` for control characters and a leading =, +, - or @.

    A full-width or small sign counts too, as some spreadsheets read it so. A mark that turns the
    direction counts as a control character: `annexe\u202egpj.exe` looks like a photo. Line feeds
    stay: the cell is quoted.
    """
    return _UNSAFE.sub(lambda found: "".join(f"\\x{byte:02x}" for byte in found[0].encode()), text)


def escape_controls(text: str) -> str:
    r"""Return text that cannot steer a terminal: `\xNN` or `\uNNNN` for what is not seen.

    These are control characters, save line feeds and tabs, and marks that reverse the direction.
    """
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def dump_json(value: Any, **options: Any) -> str:
    r"""Return JSON that can be written as UTF-8 and shown on a terminal.

    Bytes that are not UTF-8 are `\udcNN`. So are control characters and marks that turn the
    direction; to a program they mean the same.
    """
    text = json.dumps(value, ensure_ascii=False, **options) if options else _ENCODE(value)
    if text.isascii():
        return text
    return _UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def written_name(text: str) -> str:
    r"""Return text with `\xNN` for bytes that are not UTF-8, for people, not to be read back."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _unescape(part: str) -> bytes:
    if part == "\\\\":
        return b"\\"
    if _ESCAPE.fullmatch(part):
        return bytes([int(part[2:], 16)])
    return part.encode("utf-8", "surrogateescape")
