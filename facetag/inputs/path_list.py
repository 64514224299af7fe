"""Read a list of paths, as `find` and editors write them."""

import codecs
import os
from pathlib import Path

from facetag.errors import InputInvalid


def read_paths(data: bytes) -> list[Path]:
    """Return the paths in a list: separated by NUL if it holds any (`find -print0`), else by lines.

    Raises InputInvalid if the list names nothing.
    """
    # Editors of Windows begin a text file with this mark.
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\0" in data:
        names = data.split(b"\0")
    else:
        names = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    paths = [Path(os.fsdecode(name)) for name in names if name.strip()]
    if not paths:
        raise InputInvalid("The list of paths is empty: give one path per line.")
    return paths
