"""Find photos in folders, tars and lists, in the order of all outputs."""

import io
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from facetag.errors import ErrorCode
from facetag.image_formats import IMAGE_SUFFIXES, START_BYTES, is_image
from facetag.inputs.name_filter import NameFilter, is_companion
from facetag.inputs.symbolic_links import is_trusted, leads_out
from facetag.inputs.tar_photos import TAR_SUFFIX, list_members

EVERY_NAME = NameFilter()
SHOWN_KINDS = 5
"""Kinds of skipped files that are named; others are only counted."""


@dataclass(frozen=True, slots=True)
class LocalPhoto:
    """A file with an image extension, or such a file within a tar.

    `name` is the path relative to the folder, with `/` between its parts; a byte that is not UTF-8
    is a lone surrogate in it (`facetag.results.name_escapes`). `fault` gives the reason if the file
    cannot be read. `offset` is the photo's first byte in the tar at `path`; None if `path` is the
    photo itself.
    """

    name: str
    path: Path
    size: int = 0
    mtime_ns: int = 0
    fault: str | None = None
    offset: int | None = None

    @property
    def suffix(self) -> str:
        """The extension in lower case, with the dot; as `PurePath.suffix`, but faster."""
        last = self.name[self.name.rfind("/") + 1 :]
        dot = last.rfind(".")
        return last[dot:].lower() if 0 < dot < len(last) - 1 else ""

    def read_bytes(self) -> bytes:
        """Return the photo's bytes; raises OSError."""
        if self.offset is None:
            return self.path.read_bytes()
        with self.path.open("rb") as tar:
            tar.seek(self.offset)
            return tar.read(self.size)

    def sniffed(self) -> bool:
        """Return whether the first bytes are those of an image; False if they cannot be read."""
        if self.fault is not None:
            return False
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset or 0)
                return is_image(file.read(min(START_BYTES, self.size)))
        except OSError:
            return False

    def source(self) -> Path | BinaryIO:
        """Return what image libraries open: the path, or a stream of the bytes in a tar."""
        return self.path if self.offset is None else io.BytesIO(self.read_bytes())

    def refusal(self, max_bytes: int) -> tuple[ErrorCode, str] | None:
        """Return the code and the reason why this photo cannot be labelled; None if it can."""
        if self.fault is not None:
            return ErrorCode.FILE_UNREADABLE, self.fault
        if self.size > max_bytes:
            return ErrorCode.TOO_MANY_BYTES, (
                f"The file has {self.size} bytes; the limit is {max_bytes} "
                "(FACETAG_MAX_IMAGE_BYTES)."
            )
        return None


@dataclass(slots=True)
class FoundPhotos:
    """The photos of what was given, sorted by name, and what was left out."""

    given: tuple[Path, ...]
    photos: list[LocalPhoto] = field(default_factory=list)
    kinds_skipped: Counter[str] = field(default_factory=Counter)
    """How many files were skipped, by extension: they have none of an image, or are hidden, or were
    left beside photos by macOS or a NAS."""
    filtered: int = 0
    """How many photos the patterns of names leave out."""
    closed_folders: list[str] = field(default_factory=list)
    """Folders that could not be listed."""
    foreign_links: list[str] = field(default_factory=list)
    """Links to folders that another user made: they are not followed."""

    @property
    def title(self) -> str:
        """The name of the first folder or file, as text that every encoder accepts."""
        first = self.given[0]
        rest = f" and {len(self.given) - 1} more" if len(self.given) > 1 else ""
        return as_text(first.resolve().name or str(first)) + rest

    @property
    def skipped(self) -> int:
        """How many files were skipped."""
        return self.kinds_skipped.total()

    def skip(self, kind: str) -> None:
        """Count a file that is skipped."""
        self.kinds_skipped[kind] += 1

    def describe_skipped(self) -> str:
        """Return text such as `9 other files skipped (6 .mp4, 2 .txt, 1 without extension)`."""
        kinds = self.kinds_skipped.most_common()
        shown = [f"{count:,} {kind}" for kind, count in kinds[:SHOWN_KINDS]]
        more = sum(count for _, count in kinds[SHOWN_KINDS:])
        shown += [f"{more:,} of other kinds"] if more else []
        files = "file" if self.skipped == 1 else "files"
        return f"{self.skipped:,} other {files} skipped ({', '.join(shown)})"

    @property
    def is_whole(self) -> bool:
        """Whether every folder was searched."""
        return not self.closed_folders and not self.foreign_links

    @property
    def place(self) -> str:
        """The folder or file that was searched, or how many."""
        return str(self.given[0]) if len(self.given) == 1 else f"{len(self.given)} places"


def collect_photos(
    *given: Path, hidden: bool = True, names: NameFilter = EVERY_NAME, sniff: bool = False
) -> FoundPhotos:
    """Return every photo in the given folders, tars and files.

    One folder or tar: names are relative to it. Otherwise each name is the path as it was given,
    and a photo that is reached twice in this way is one. A file that is given itself needs no image
    extension; if it cannot be reached, it is a photo with a fault. Links are followed, and each
    folder is visited once even if links form a loop; but a link of another user is not, and one out
    of the folder only to a file that begins as an image.
    `hidden=False` skips names that begin with a dot. With `sniff`, files without an image extension
    are opened, and are photos if their first bytes say so. Raises OSError if a given folder cannot
    be listed, and InputInvalid for a damaged tar.
    """
    found = FoundPhotos(given)
    alone = len(given) == 1 and (is_folder(given[0]) or given[0].suffix.lower() == TAR_SUFFIX)
    asked_for = {path for path in given if not is_folder(path)}
    # Texts are found faster than paths.
    met = dict[tuple[str, int | None], LocalPhoto]()
    for photo in _find(given, found, hidden=hidden, base=given[0] if alone else None):
        itself = bool(asked_for) and photo.offset is None and photo.path in asked_for
        # Of a tar that is there, only what lies in it is a photo.
        itself = itself and (photo.suffix != TAR_SUFFIX or photo.fault is not None)
        if not itself and is_companion(photo.name):
            found.skip("beside photos")
        elif not itself and photo.suffix not in IMAGE_SUFFIXES and not (sniff and photo.sniffed()):
            found.skip(photo.suffix or "without extension")
        elif names.keeps(photo.name):
            met[str(photo.path), photo.offset] = photo
        else:
            found.filtered += 1
    found.photos.extend(met.values())
    found.photos.sort(key=lambda photo: (photo.name, str(photo.path)))
    return found


def no_photos(found: FoundPhotos) -> str:
    """Return an error message about folders without photos."""
    others = "other file" if found.skipped == 1 else "other files"
    parts = [f"{found.skipped:,} {others}"] if found.skipped else []
    if found.filtered:
        parts.append(f"{found.filtered:,} that --include and --exclude leave out")
    if found.closed_folders:
        folders = "folder" if len(found.closed_folders) == 1 else "folders"
        parts.append(f"{len(found.closed_folders):,} {folders} that cannot be listed")
    place = f"The folder {found.place} holds" if len(found.given) == 1 else f"{found.place} hold"
    tars = found.kinds_skipped[TAR_SUFFIX]
    remedy = " Give the tars themselves, as in FOLDER/*.tar." if tars else ""
    return f"{place} no photos ({', '.join(parts) or 'it is empty'}).{remedy}"


def shown_name(path: Path, folder: Path) -> str:
    """Return the path relative to `folder`, with `/` between its parts."""
    text, prefix = str(path), str(folder).rstrip(os.sep) + os.sep
    # `relative_to` would take a third of the time in which a folder is read.
    below = text[len(prefix) :] if text.startswith(prefix) else str(path.relative_to(folder))
    return below if os.sep == "/" else below.replace(os.sep, "/")


def as_text(name: str) -> str:
    """Return a file's name with U+FFFD in place of bytes that are not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def unreadable(error: OSError) -> str:
    """Return the reason why a file cannot be read, as its line of the results has it."""
    return f"The file cannot be read: {error.strerror}."


def photo_below(folder: Path, name: str) -> Path | None:
    """Return the path of the photo `name` below `folder`; None if it would lie outside."""
    parts = PurePosixPath(name).parts
    return None if ".." in parts or name.startswith("/") else folder.joinpath(*parts)


def _find(
    given: Iterable[Path], found: FoundPhotos, *, hidden: bool, base: Path | None
) -> Iterator[LocalPhoto]:
    """Yield all files of what was given, with names relative to `base`, else as given."""
    seen = set[tuple[int, int]]()
    for start in given:
        if is_folder(start):
            os.scandir(start).close()
            for path, is_link in _walk_files(start, found, seen, hidden=hidden):
                photo = describe_photo(path, base)
                yield _check_link(photo, start) if is_link else photo
            continue
        file = describe_photo(start, None)
        if start.suffix.lower() == TAR_SUFFIX and file.fault is None:
            yield from _open_tar(start, found, inside="" if base else f"{start.as_posix()}/")
        else:
            yield file


def _open_tar(tar: Path, found: FoundPhotos, *, inside: str) -> Iterator[LocalPhoto]:
    mtime_ns = tar.stat().st_mtime_ns
    for name, offset, size in list_members(tar):
        if offset is None:
            found.skip("link")
        else:
            yield LocalPhoto(inside + name, tar, size, mtime_ns, offset=offset)


def _walk_files(
    folder: Path, found: FoundPhotos, seen: set[tuple[int, int]], *, hidden: bool
) -> Iterator[tuple[Path, bool]]:
    """Yield files, and whether each is a link; those of real folders before those of linked ones.

    A photo that is reachable in both ways is so named by its real path.
    """
    real, linked = [folder], list[Path]()
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
            found.closed_folders.append(shown_name(current, folder))
            continue
        for entry in entries:
            if not hidden and entry.name.startswith("."):
                found.skip("hidden")
            elif not is_folder(entry):
                yield Path(entry.path), entry.is_symlink()
            elif not entry.is_symlink():
                real.append(Path(entry.path))
            elif is_trusted(Path(entry.path)):
                linked.append(Path(entry.path))
            else:
                found.foreign_links.append(shown_name(Path(entry.path), folder))
        linked.sort()


def _check_link(photo: LocalPhoto, folder: Path) -> LocalPhoto:
    """Return a photo that is a link, with a fault if it might give away what is no photo."""
    if photo.fault is not None or photo.suffix not in IMAGE_SUFFIXES:
        return photo
    if not is_trusted(photo.path):
        return replace(photo, fault="The link was made by another user: it is not followed.")
    if leads_out(photo.path, folder) and not photo.sniffed():
        return replace(
            photo, fault="The link leads out of the folder to a file that is no image: not sent."
        )
    return photo


def is_folder(path: Path | os.DirEntry[str]) -> bool:
    """Return whether this is a folder; False if its name is too long, or it cannot be reached."""
    try:
        return path.is_dir()
    except OSError:
        return False


def describe_photo(path: Path, base: Path | None) -> LocalPhoto:
    """Return a file as a photo, named by its path below `base`, or by its path as it is given."""
    name = path.as_posix() if base is None else shown_name(path, base)
    try:
        status = path.stat()
    except OSError as error:
        return LocalPhoto(name, path, fault=unreadable(error))
    # Opening a pipe would block.
    if not stat.S_ISREG(status.st_mode):
        return LocalPhoto(name, path, fault="This is not a regular file.")
    return LocalPhoto(name, path, size=status.st_size, mtime_ns=status.st_mtime_ns)
