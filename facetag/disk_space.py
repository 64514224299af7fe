"""Tell a user which disk is full and how much space is needed, before work begins and after."""

import errno
import math
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from facetag.errors import DiskFull

SPACE_TO_BEGIN = 400 * 10**6
"""Bytes that the local servers need on the disk of a new data folder."""
SPACE_TO_GO_ON = 250 * 10**6
"""The same once there are data: SeaweedFS takes no file on a disk with less than 200 MiB."""
SPACE_TO_WORK = 40 * 10**6
"""The same while photos are labelled: PostgreSQL writes its log in files of 16 MiB."""
STORAGE_RESERVE = 200 * 2**20
"""Bytes that uploads leave on the disk of our own object storage, so that the database lives."""
TEMPORARY_SPACE = 2 * 10**6

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
NO_SPACE_TEXTS = ("No space left on device", "Disk quota exceeded")


def require_space(folder: Path, needed: int, *, use: str, remedy: str) -> None:
    """Raise DiskFull unless the disk of a folder, which need not exist yet, has `needed` bytes.

    `use` says what the space is for; `remedy` says what to do besides making space.
    """
    if free_space(folder) < needed:
        raise disk_full(folder, needed, use=use, remedy=remedy)


def require_server_space(data_dir: Path) -> None:
    """Raise DiskFull unless the local servers have room in their data folder and for a start."""
    if free_space(data_dir) < _server_space(data_dir):
        raise data_folder_full(data_dir)
    require_space(
        temporary_folder(),
        TEMPORARY_SPACE,
        use="a start of the servers",
        remedy="set TMPDIR to another folder",
    )


def data_folder_full(data_dir: Path) -> DiskFull:
    """Return the error that the disk of a data folder has no room for the local servers."""
    return disk_full(
        data_dir,
        _server_space(data_dir),
        use="data of the service",
        remedy="give another folder with --data-dir or FACETAG_DATA_DIR",
    )


def find_full_storage(data_dir: Path, size: int) -> DiskFull | None:
    """Return the error if our own object storage has no room for `size` bytes more; else None.

    Storage of which nothing lies below the data folder is somebody else's to watch.
    """
    if not (data_dir / "seaweedfs").is_dir() or free_space(data_dir) - size >= STORAGE_RESERVE:
        return None
    return disk_full(data_dir, STORAGE_RESERVE + size, use="object storage", remedy="delete jobs")


def require_database_space(data_dir: Path, size: int) -> None:
    """Raise DiskFull unless our own database can write `size` bytes anew, and its log of them.

    A database of which nothing lies below the data folder is somebody else's to watch.
    """
    if (data_dir / "postgresql").is_dir():
        require_space(
            data_dir,
            2 * size + SPACE_TO_WORK,
            use="writing the database anew without deleted rows",
            remedy="delete more jobs",
        )


def disk_full(folder: Path, needed: int, *, use: str, remedy: str) -> DiskFull:
    """Return the error of `require_space`."""
    return DiskFull(
        f"The disk of {folder} is full: {use} needs {_amount(needed)}, and "
        f"{_amount(free_space(folder))} is free. Make space, or {remedy}; then give the same "
        "command again."
    )


def free_space(folder: Path) -> int:
    """Return the free bytes of the disk that a folder, which need not exist yet, lies on."""
    place = folder.absolute()
    while not place.is_dir() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def find_full_disk(folders: Iterable[Path], least: int) -> Path | None:
    """Return the folder whose disk has least space, if that is less than `least` bytes."""
    free, fullest = min((free_space(folder), folder) for folder in folders)
    return fullest if free < least else None


def temporary_folder() -> Path:
    """Return the folder for temporary files; raises DiskFull if none can be written to."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise DiskFull(
            "No folder for temporary files can be written to, neither TMPDIR nor /tmp nor "
            "/var/tmp: make some megabytes of space there, or set TMPDIR to a folder with space."
        ) from error


@contextmanager
def explained_full_disk(what: str, folder: Path | None, needed: int) -> Iterator[None]:
    """Raise DiskFull if writing in the body meets a full disk.

    `what` names the output, which takes `needed` bytes or so, 0 if nobody knows; `folder` is the
    one that it lies in, None for standard output, a device or a pipe.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        facts = [f"it needs about {_amount(needed)}"] if needed else []
        facts += [] if folder is None else [f"{_amount(free_space(folder))} is free"]
        amounts = f": {', and '.join(facts)}" if facts else ""
        raise DiskFull(
            f"The disk of {what} is full{amounts}. Make space, and give the same command again: "
            "finished work is kept."
        ) from error


def _server_space(data_dir: Path) -> int:
    begun = (data_dir / "postgresql").is_dir()
    return SPACE_TO_GO_ON if begun else SPACE_TO_BEGIN


def _amount(size: int) -> str:
    if size < 10**6:
        return f"{math.ceil(size / 1000)} kB"
    return f"{size / 1e6:,.1f} MB" if size < 10**7 else f"{size / 1e6:,.0f} MB"
