"""Read a list of paths, as `find` and editors write them."""

import codecs
import os
from pathlib import Path

from facetag.errors import InputInvalid


def read_paths(data: bytes) -> list[Path]:
    """Return the paths in a list: separated by NUL if it holds any (`find -print0`), else by lines.

    Raises InputInvalid if the list names nothing, or is damaged UTF-16.
    """
    data = _as_utf8(data)
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
