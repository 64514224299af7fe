"""Read the key that a data folder keeps for its owner, without what makes keys.

Every command reads it, and loading the tables for it would take longer than the rest.
"""

from contextlib import suppress
from pathlib import Path


def read_local_key(data_dir: Path) -> str | None:
    """Return the key in the data folder; None if there is none that we may read."""
    with suppress(OSError):
        return key_path(data_dir).read_text(encoding="ascii").strip() or None
    return None


def key_path(data_dir: Path) -> Path:
    """Return the file that holds the key."""
    return data_dir.expanduser() / "api-key"
