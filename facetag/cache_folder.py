"""Where a user's machine keeps what could be had again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return facetag's folder by the XDG rules: `$XDG_CACHE_HOME/facetag`, else in ~/.cache."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "facetag"
