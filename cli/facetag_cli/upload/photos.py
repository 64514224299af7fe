"""Finds the photos of a folder, in the order in which every output names them."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from facetag.image_suffixes import IMAGE_SUFFIXES


@dataclass(frozen=True, slots=True)
class LocalPhoto:
    """A file whose name has an image's extension.

    `name` is its path relative to the folder with `/` between the parts, fit for JSON: bytes that
    are not UTF-8 are shown as U+FFFD. `fault` says why the file cannot be read, if it cannot.
    """

    name: str
    path: Path
    size: int = 0
    mtime_ns: int = 0
    fault: str | None = None


@dataclass(slots=True)
class Collection:
    """The photos of a folder, sorted by name, and what was passed over."""

    folder: Path
    photos: list[LocalPhoto] = field(default_factory=list)
    skipped: int = 0
    """Files whose names have no image's extension."""
    closed_folders: list[str] = field(default_factory=list)
    """Folders that could not be listed."""

    @property
    def title(self) -> str:
        """What people call the folder, as text that any encoder takes."""
        return as_text(self.folder.resolve().name or str(self.folder))


def collect_photos(folder: Path, *, hidden: bool = True) -> Collection:
    """Return every photo below `folder`, each folder visited once even where links make a loop.

    Links are followed. `hidden=False` passes over names that begin with a dot. Raises OSError if
    `folder` itself cannot be listed.
    """
    collection = Collection(folder)
    os.scandir(folder).close()
    for path in _walk_files(folder, collection, hidden=hidden):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            collection.photos.append(_describe(path, folder))
        else:
            collection.skipped += 1
    collection.photos.sort(key=lambda photo: (photo.name, os.fsencode(photo.path)))
    return collection


def no_photos(collection: Collection) -> str:
    """Say that a folder holds no photos, and what it holds instead."""
    others = "other file" if collection.skipped == 1 else "other files"
    found = f"{collection.skipped} {others}" if collection.skipped else "it is empty"
    return f"The folder {collection.folder} holds no photos ({found})."


def shown_name(path: Path, folder: Path) -> str:
    """Return the path below `folder` with `/` between its parts, as text that any encoder takes."""
    return as_text(path.relative_to(folder).as_posix())


def as_text(name: str) -> str:
    """Return a file's name with U+FFFD for bytes that are not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def photo_below(folder: Path, name: str) -> Path | None:
    """Return the path of the photo that results call `name`; None if it would lie elsewhere."""
    parts = PurePosixPath(name).parts
    return None if ".." in parts or name.startswith("/") else folder.joinpath(*parts)


def _walk_files(folder: Path, collection: Collection, *, hidden: bool) -> Iterator[Path]:
    """Yield files; real folders come before linked ones, so that a photo keeps its nearest name."""
    real, linked, seen = [folder], list[Path](), set[tuple[int, int]]()
    while real or linked:
        current = real.pop() if real else linked.pop(0)
        try:
            status = current.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(current) as listing:
                entries = sorted(listing, key=lambda entry: entry.name, reverse=True)
        except OSError:
            collection.closed_folders.append(shown_name(current, folder))
            continue
        for entry in entries:
            if not hidden and entry.name.startswith("."):
                collection.skipped += 1
            elif not _is_folder(entry):
                yield Path(entry.path)
            elif entry.is_symlink():
                linked.append(Path(entry.path))
            else:
                real.append(Path(entry.path))
        linked.sort()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _describe(path: Path, folder: Path) -> LocalPhoto:
    name = shown_name(path, folder)
    try:
        status = path.stat()
    except OSError as error:
        return LocalPhoto(name, path, fault=f"The file cannot be read: {error.strerror}.")
    # A pipe would block whoever opens it.
    if not stat.S_ISREG(status.st_mode):
        return LocalPhoto(name, path, fault="This is not a regular file.")
    return LocalPhoto(name, path, size=status.st_size, mtime_ns=status.st_mtime_ns)
