"""Let one facetag at a time work on a data folder, by a lock that ends with its process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from facetag.errors import DataFolderBusy

BUSY = "Another facetag"
"""Begins what a command says of a folder that another one holds."""


@contextmanager
def lock_folder(data_dir: Path) -> Iterator[None]:
    """Hold the data folder within the body; raises DataFolderBusy while another process does.

    The file `lock` says which process holds it.
    """
    path = data_dir / "lock"
    # Whoever stops the servers may be another thread than the one that started them.
    lock = FileLock(path, mode=0o600, thread_local=False, is_singleton=False)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        holder = path.read_text(errors="replace").strip()
        raise DataFolderBusy(
            f"{BUSY}{f' (process {holder})' if holder else ''} runs its servers "
            f"in {data_dir}. Wait for it, stop it, or give another folder with "
            "--data-dir or FACETAG_DATA_DIR."
        ) from error
    try:
        path.write_text(f"{os.getpid()}\n")
        yield
    finally:
        lock.release()


def holder_of(data_dir: Path) -> int:
    """Return the process that held the data folder last; raises OSError and ValueError."""
    return int((data_dir / "lock").read_text(errors="replace"))
