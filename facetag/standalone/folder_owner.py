"""Tell whether a data folder may be believed: another user's may name servers and processes."""

import os
import stat
from pathlib import Path

from facetag.errors import LocalServerFailed

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


def require_own(folder: Path) -> None:
    """Raise LocalServerFailed if a data folder is foreign, or if this user may not look into it.

    One that does not exist yet is fine.
    """
    try:
        os.scandir(folder).close()
    except FileNotFoundError:
        return
    except OSError as error:
        raise unusable(folder, error) from error
    if is_foreign(folder):
        raise LocalServerFailed(
            f"The data folder {folder} belongs to another user, or to all of them, who could read "
            "the photos: give another with --data-dir or FACETAG_DATA_DIR, or make it your own "
            "with chown."
        )


def unusable(folder: Path, error: OSError) -> LocalServerFailed:
    """Return the error about a data folder that the system does not let this user use."""
    return LocalServerFailed(
        f"The data folder {folder} cannot be used: {error.strerror}. Give another with --data-dir "
        "or FACETAG_DATA_DIR."
    )
