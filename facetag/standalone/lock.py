"""Lets one facetag at a time work on a data folder, with a lock that dies with its process."""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from facetag.errors import DataFolderBusy


class FolderLock:
    """A context manager that holds the data folder; raises DataFolderBusy where another does."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._descriptor: int | None = None

    def __enter__(self) -> "FolderLock":
        path = self._data_dir / "lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise DataFolderBusy(
                f"Another facetag{f' (process {holder})' if holder else ''} runs its servers "
                f"in {self._data_dir}. Wait for it, stop it, or give another folder with "
                "--data-dir or FACETAG_DATA_DIR."
            ) from error
        except OSError:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The file stays: removing it would let two processes lock two files of one name.
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
