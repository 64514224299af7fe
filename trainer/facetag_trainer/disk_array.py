"""Make arrays on disk that are filled through a memory map, by one process at a time."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.disk_space import explained_full_disk

LOCK = ".lock"


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold a folder's lock during the body; waits until another process that holds it has ended.

    A second writer would empty the arrays that the first one has filled. The folder is made if it
    is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_array(path: Path, dtype: npt.DTypeLike, shape: Sequence[int]) -> Any:
    """Return a new array of zeros in a .npy file, as a memory map to write to.

    Its space is taken at once where the system can: writing to a memory map without space on the
    disk ends the process without a word. Raises DiskFull.
    """
    of, sides = np.dtype(dtype), tuple(shape)
    needed = int(np.prod(sides)) * of.itemsize
    stated = {"descr": np.lib.format.dtype_to_descr(of), "fortran_order": False, "shape": sides}
    path.unlink(missing_ok=True)
    with explained_full_disk(str(path), path.parent, needed):
        try:
            with path.open("wb", buffering=0) as file:
                np.lib.format.write_array_header_1_0(file, stated)
                # macOS cannot take space ahead.
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, file.tell() + needed)
                else:
                    file.truncate(file.tell() + needed)
        except OSError:
            path.unlink(missing_ok=True)
            raise
    return np.load(path, mmap_mode="r+")
