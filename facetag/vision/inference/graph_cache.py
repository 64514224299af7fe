"""Keep traced and compiled graphs on disk, so that a worker starts in a second.

An entry is a folder of files below the folder of its kind, named after a digest of every fact that
the files depend on. It is written beside its place and renamed, and its files are checked against
their SHA-256 each time. An entry that is missing or damaged is made again; where nothing can be
written, graphs are made each time.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from filelock import FileLock, Timeout

from facetag.cache_folder import cache_folder
from facetag.settings import Settings

TRACED, COMPILED = "traced", "compiled"
"""Kinds of entries: graphs for any CPU, and graphs for one."""
CHECKSUMS = "sha256.json"
DRAFT = ".draft-"
WAIT_S = 600.0
"""How long a process waits for another one that makes a graph, before it makes one itself."""

Files = Mapping[str, bytes]
"""Content of the files of one entry, by name."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GraphCache:
    """Keep entries of at most `most_bytes` in all below `root`; with 0 bytes, keep nothing."""

    root: Path
    most_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> "GraphCache":
        """Return the cache of this user, as large as the settings say."""
        return cls(cache_folder() / "graphs", settings.graph_cache_mb * 10**6)

    def get(self, kind: str, facts: Mapping[str, object], make: Callable[[], Files]) -> Files:
        """Return the files of an entry; make and keep them if there is no sound entry.

        `facts` is everything that the files depend on, as JSON can hold it. Of several processes
        that miss the same kind at the same time, one makes it and the others wait.
        """
        folder = self.root / kind / digest(facts)
        if not self.most_bytes:
            return make()
        files = _read(folder)
        if files is not None:
            return files
        with self._write_lock(folder.parent) as may_write:
            # Another process may have made the entry meanwhile.
            files = _read(folder)
            if files is None:
                files = make()
                if may_write:
                    self._keep(folder, files)
        return files

    def lacks(self, kind: str) -> bool:
        """Return whether entries of a kind could be kept, and none is."""
        return bool(self.most_bytes) and not any((self.root / kind).glob(f"*/{CHECKSUMS}"))

    @contextmanager
    def _write_lock(self, kind: Path) -> Iterator[bool]:
        """Yield whether entries of this kind may be written; hold their lock if so."""
        try:
            _make_private(self.root)
            _make_private(kind)
            lock = FileLock(kind / "lock", mode=0o600, timeout=WAIT_S, thread_local=False)
            lock.acquire()
        except (OSError, Timeout) as error:
            log.warning("graphs_not_kept", folder=str(kind), reason=str(error))
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _keep(self, folder: Path, files: Files) -> None:
        """Write an entry and remove the least recently used ones that are too much with it."""
        draft = folder.with_name(f"{DRAFT}{secrets.token_hex(6)}")
        try:
            for left in folder.parent.glob(f"{DRAFT}*"):
                # A process that held the lock was killed here.
                shutil.rmtree(left, ignore_errors=True)
            draft.mkdir(mode=0o700)
            for name, content in files.items():
                (draft / name).write_bytes(content)
            checksums = {name: _sha256(content) for name, content in files.items()}
            (draft / CHECKSUMS).write_text(json.dumps(checksums), encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            draft.rename(folder)
            self._trim(folder)
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            log.warning("graphs_not_kept", folder=str(folder), reason=str(error))

    def _trim(self, newest: Path) -> None:
        entries = [path.parent for path in self.root.glob(f"*/*/{CHECKSUMS}")]
        entries.sort(key=_last_used, reverse=True)
        room = self.most_bytes - _size(newest)
        for entry in entries:
            if entry != newest:
                room -= _size(entry)
                if room < 0:
                    shutil.rmtree(entry, ignore_errors=True)


def digest(facts: Mapping[str, object]) -> str:
    """Return the name of the entry that depends on these facts."""
    return _sha256(json.dumps(facts, sort_keys=True).encode())[:32]


def _read(folder: Path) -> Files | None:
    """Return an entry's files; None if one is missing, damaged, or not this user's own."""
    try:
        if not _is_private(folder.parent.parent) or not _is_private(folder.parent):
            return None
        checksums = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
        files = {name: (folder / name).read_bytes() for name in checksums}
    except (OSError, ValueError, TypeError):
        return None
    if any(_sha256(content) != checksums[name] for name, content in files.items()):
        log.warning("graphs_damaged", folder=str(folder))
        return None
    with suppress(OSError):
        # A folder that can only be read keeps its dates.
        os.utime(folder / CHECKSUMS)
    return files


def _make_private(folder: Path) -> None:
    """Make a folder that only this user may use; raises OSError if it belongs to another one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_private(folder):
        # Another owner's folder raises PermissionError, except to root.
        folder.chmod(0o700)
    if not _is_private(folder):
        raise PermissionError(f"{folder} belongs to another user")


def _is_private(folder: Path) -> bool:
    # Whoever else may write here could choose what the worker loads.
    status = folder.stat()
    return status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _last_used(entry: Path) -> float:
    try:
        return (entry / CHECKSUMS).stat().st_mtime
    except OSError:
        return 0.0


def _size(entry: Path) -> int:
    with suppress(OSError):
        return sum(file.stat().st_size for file in entry.iterdir())
    return 0


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
