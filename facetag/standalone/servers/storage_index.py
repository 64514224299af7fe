"""Keep SeaweedFS's index of keys in SQLite, and write it anew without keys of deleted objects."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from facetag.disk_space import STORAGE_RESERVE, free_space

FILE = "filer.db"
EARLIER_FOLDER = "filerldb2"
"""The index of a data folder of an earlier version: LevelDB, which nobody can compact at will."""

COPIES = 3
"""So many times its own space takes writing an index anew: two copies, and a log of changes."""
LOCK_S = 5.0
"""The longest wait for writes to end; SeaweedFS itself waits for ten seconds."""

# Without a write-ahead log, each upload would wait for the disk twice. LIKE, with which SeaweedFS
# looks for prefixes, ignores case otherwise.
_PRAGMAS = (
    "journal_mode(WAL)",
    "synchronous(NORMAL)",
    "secure_delete(1)",
    "case_sensitive_like(1)",
)


class StorageIndex:
    """The index in a folder of SeaweedFS, which is its working folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rewritten: list[int] | None = None
        self._waited = False

    def settings(self) -> str:
        """Return the text of filer.toml."""
        if (self._folder / EARLIER_FOLDER).exists():
            return f'[leveldb2]\nenabled = true\ndir = "./{EARLIER_FOLDER}"\n'
        pragmas = "&".join(f"_pragma={pragma}" for pragma in _PRAGMAS)
        return f'[sqlite]\nenabled = true\ndbFile = "{FILE}?{pragmas}"\n'

    def rewrite(self, *, quiet_s: float, wait_s: float = LOCK_S) -> bool:
        """Write the index anew if it has changed; return whether it was.

        A first call waits if there were changes less than `quiet_s` ago, the next one does not.
        `secure_delete` alone is not enough, since SQLite moves rows between pages. The server may
        run meanwhile: its reads go on, and its writes wait, 3 s for a million objects.
        """
        path = self._folder / FILE
        if not path.exists():
            return False
        mark = self._mark()
        if mark == self._rewritten:
            return False
        if time.time_ns() - max(mark) < quiet_s * 1e9 and not self._waited:
            self._waited = True
            return False
        if free_space(self._folder) < COPIES * path.stat().st_size + STORAGE_RESERVE:
            return False
        try:
            with closing(sqlite3.connect(path, timeout=wait_s, isolation_level=None)) as index:
                index.execute("VACUUM")
                busy, _, _ = index.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError:
            # Locked, or no space for a copy: the next turn tries again.
            return False
        if not busy:
            self._rewritten, self._waited = self._mark(), False
        return not busy

    def _mark(self) -> list[int]:
        """Return when the index and its write-ahead log were written to."""
        parts = (self._folder / name for name in (FILE, f"{FILE}-wal"))
        return [part.stat().st_mtime_ns for part in parts if part.exists()]
