"""Tell whether a data folder may be believed: another user's may name servers and processes."""

import os
import stat
from pathlib import Path

ROOT = 0


def is_foreign(folder: Path) -> bool:
    """Return whether a folder belongs to another user than this one and root, or to everybody.

    A folder that does not exist is not foreign, and none is where the system knows no owners.
    """
    try:
        found = folder.stat()
    except OSError:
        return False
    if not hasattr(os, "geteuid"):
        return False
    return found.st_uid not in {os.geteuid(), ROOT} or bool(found.st_mode & stat.S_ISVTX)
