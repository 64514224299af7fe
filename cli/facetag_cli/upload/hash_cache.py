"""Remember the SHA-256 of files by path, size and time: a second run does not read them again."""

import hashlib
import os
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from facetag.cache_folder import cache_folder
from facetag.inputs.photo_files import LocalPhoto

HASH_THREADS = 4
LOOKED_UP = 500
"""Photos that are looked up at a time."""
SETTLED_S = 2.0
"""A file changed this recently may change again at the same mtime, so it is not remembered."""

_TABLE = """
CREATE TABLE IF NOT EXISTS hashes (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS hashes_by_content ON hashes (sha256);
"""


def default_cache_path() -> Path:
    """Return the path of the file that remembers hashes."""
    return cache_folder() / "hashes.sqlite3"


class HashCache:
    """Hash files and remember the results, or only hash if it cannot write to `path`."""

    def __init__(self, path: Path | None) -> None:
        self._rows = None if path is None else _open(path)

    def __enter__(self) -> Self:
        """Return the cache itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the file."""
        if self._rows is not None:
            self._rows.close()

    def hash_photos(self, photos: Sequence[LocalPhoto]) -> list[str | OSError]:
        """Return the hex SHA-256 of each photo, or the error of reading it."""
        known = self.recall(photos)
        unknown = [photo for photo, found in zip(photos, known, strict=True) if found is None]
        read = iter(self.read(unknown))
        return [found or next(read) for found in known]

    def recall(self, photos: Sequence[LocalPhoto]) -> list[str | None]:
        """Return the SHA-256 of each photo that has not changed since it was hashed, else None."""
        known: list[str | None] = []
        for start in range(0, len(photos), LOOKED_UP):
            known += self._look_up(photos[start : start + LOOKED_UP])
        return known

    def read(self, photos: Sequence[LocalPhoto]) -> list[str | OSError]:
        """Read and hash photos, and remember the results."""
        if not photos:
            return []
        with ThreadPoolExecutor(HASH_THREADS) as threads:
            found = list(threads.map(_hash, photos))
        self._remember(photos, found)
        return found

    def find_file(self, sha256: str) -> Path | None:
        """Return a file that has not changed since it was hashed to this; None if none is known."""
        if self._rows is None:
            return None
        try:
            rows = self._rows.execute(
                "SELECT path, size, mtime_ns FROM hashes WHERE sha256 = ?", (sha256,)
            ).fetchall()
        except sqlite3.Error:
            return None
        for name, size, mtime_ns in rows:
            path = Path(os.fsdecode(name))
            try:
                status = path.stat()
            except (OSError, ValueError):
                # The file has gone, or the photo lies inside an archive.
                continue
            if (status.st_size, status.st_mtime_ns) == (size, mtime_ns):
                return path
        return None

    def _look_up(self, photos: Sequence[LocalPhoto]) -> list[str | None]:
        if self._rows is None:
            return [None] * len(photos)
        keys = [_key(photo) for photo in photos]
        wanted = ",".join("?" * len(keys))
        try:
            rows = self._rows.execute(
                f"SELECT path, size, mtime_ns, sha256 FROM hashes WHERE path IN ({wanted})",  # noqa: S608 - marks alone
                keys,
            )
            known = {path: (size, mtime_ns, sha256) for path, size, mtime_ns, sha256 in rows}
        except sqlite3.Error:
            # An unreadable cache costs only time.
            return [None] * len(photos)
        found: list[str | None] = []
        for key, photo in zip(keys, photos, strict=True):
            size, mtime_ns, sha256 = known.get(key, (None, None, None))
            same = (size, mtime_ns) == (photo.size, photo.mtime_ns)
            found.append(str(sha256) if same else None)
        return found

    def _remember(self, photos: Sequence[LocalPhoto], found: Sequence[str | OSError]) -> None:
        if self._rows is None:
            return
        settled_ns = int((time.time() - SETTLED_S) * 1e9)
        rows = [
            (_key(photo), photo.size, photo.mtime_ns, sha256)
            for photo, sha256 in zip(photos, found, strict=True)
            if photo.mtime_ns < settled_ns and isinstance(sha256, str)
        ]
        try:
            with self._rows:
                self._rows.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?)", rows)
        except sqlite3.Error:
            # On a full disk the next run hashes again.
            self._rows = None


def _open(path: Path) -> sqlite3.Connection | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # One thread at a time uses it, but not always the thread that opened it.
        rows = sqlite3.connect(path, timeout=2.0, check_same_thread=False)
        rows.executescript(_TABLE)
    except (OSError, sqlite3.Error):
        # An upload must also work with a read-only home folder.
        return None
    return rows


def _key(photo: LocalPhoto) -> bytes:
    path = os.fsencode(photo.path if photo.path.is_absolute() else photo.path.absolute())
    return path if photo.offset is None else path + b"\0%d" % photo.offset


def _hash(photo: LocalPhoto) -> str | OSError:
    try:
        if photo.offset is not None:
            return hashlib.sha256(photo.read_bytes()).hexdigest()
        with photo.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return error
