"""Find the photos of a folder, in the order of all outputs."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from facetag.image_suffixes import IMAGE_SUFFIXES


@dataclass(frozen=True, slots=True)
class LocalPhoto:
    """A file with an image extension.

    `name` is the path relative to the folder, with `/` between its parts; U+FFFD replaces bytes
    that are not UTF-8. `fault` gives the reason if the file cannot be read.
    """

    name: str
    path: Path
    size: int = 0
    mtime_ns: int = 0
    fault: str | None = None


@dataclass(slots=True)
class PhotoFolder:
    """The photos of a folder, sorted by name, and what was skipped."""

    folder: Path
    photos: list[LocalPhoto] = field(default_factory=list)
    skipped: int = 0
    """How many files have no image extension."""
    closed_folders: list[str] = field(default_factory=list)
    """Folders that could not be listed."""

    @property
    def title(self) -> str:
        """The folder's name, as text that every encoder accepts."""
        return as_text(self.folder.resolve().name or str(self.folder))


def collect_photos(folder: Path, *, hidden: bool = True) -> PhotoFolder:
    """Return every photo below `folder`.

    Links are followed, and each folder is visited once even if links form a loop. `hidden=False`
    skips names that begin with a dot. Raise OSError if `folder` itself cannot be listed.
    """
    collection = PhotoFolder(folder)
    os.scandir(folder).close()
    for path in _walk_files(folder, collection, hidden=hidden):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            collection.photos.append(_describe(path, folder))
        else:
            collection.skipped += 1
    collection.photos.sort(key=lambda photo: (photo.name, os.fsencode(photo.path)))
    return collection


def no_photos(collection: PhotoFolder) -> str:
    """Return an error message about a folder without photos."""
    others = "other file" if collection.skipped == 1 else "other files"
    found = f"{collection.skipped} {others}" if collection.skipped else "it is empty"
    return f"The folder {collection.folder} holds no photos ({found})."


def shown_name(path: Path, folder: Path) -> str:
    """Return the path relative to `folder` with `/`, as text that every encoder accepts."""
    return as_text(path.relative_to(folder).as_posix())


def as_text(name: str) -> str:
    """Return a file's name with U+FFFD in place of bytes that are not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def photo_below(folder: Path, name: str) -> Path | None:
    """Return the path of the photo `name` below `folder`; None if it would lie outside."""
    parts = PurePosixPath(name).parts
    return None if ".." in parts or name.startswith("/") else folder.joinpath(*parts)


def _walk_files(folder: Path, collection: PhotoFolder, *, hidden: bool) -> Iterator[Path]:
    """Yield files, those of real folders before those of linked ones.

    A photo that is reachable in both ways is so named by its real path.
    """
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
    # Opening a pipe would block.
    if not stat.S_ISREG(status.st_mode):
        return LocalPhoto(name, path, fault="This is not a regular file.")
    return LocalPhoto(name, path, size=status.st_size, mtime_ns=status.st_mtime_ns)
