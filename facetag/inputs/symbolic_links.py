"""Decide which links within a folder of photos are followed: others may have put them there."""

import os
from pathlib import Path

ROOT = 0


def is_trusted(link: Path) -> bool:
    """Return whether a link was made by this user, by root, or by the owner of what it leads to.

    Anybody else could have it read what only this user may read. A link that leads nowhere is
    trusted, since nothing is read. Where the system knows no owners, every link is.
    """
    if not hasattr(os, "geteuid"):
        return True
    try:
        return link.lstat().st_uid in {os.geteuid(), ROOT, link.stat().st_uid}
    except OSError:
        return True


def leads_out(link: Path, folder: Path) -> bool:
    """Return whether a link leads to a place that is not below `folder`."""
    return not link.resolve().is_relative_to(folder.resolve())
