"""Read a list of paths, as `find` and editors write them."""

import codecs
import os
import re
from pathlib import Path

from facetag.errors import InputInvalid

_WIDE = re.compile(rb"\0[/\\\n]\0|\0\.\0{1,3}(?:[^\0]\0{1,3}){2}[^\0]")
"""Characters of two or four bytes: a separator, a line's end, or an extension as in `a.jpg`.

Between the zero bytes of `find -print0` stand names, of which none is one of these.
"""


def read_paths(data: bytes) -> list[Path]:
    """Return the paths in a list: separated by NUL if it holds any (`find -print0`), else by lines.

    Raises InputInvalid if the list names nothing, is damaged UTF-16, or UTF-16 without its mark.
    """
    data = _as_utf8(data)
    if _WIDE.search(data):
        raise InputInvalid(
            "The list of paths is in another encoding than UTF-8, such as UTF-16 without its mark: "
            "write it as UTF-8."
        )
    if b"\0" in data:
        names = data.split(b"\0")
    else:
        names = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    paths = [Path(os.fsdecode(name)) for name in names if name.strip()]
    if not paths:
        raise InputInvalid("The list of paths is empty: give one path per line.")
    return paths


def _as_utf8(data: bytes) -> bytes:
    """Return a list without the mark with which Windows begins text, which may be UTF-16."""
    if not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-16").encode()
    except UnicodeDecodeError as error:
        raise InputInvalid("The list of paths is damaged UTF-16: write it as UTF-8.") from error
