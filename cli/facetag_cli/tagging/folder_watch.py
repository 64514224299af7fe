"""Label what arrives in a folder, pass by pass, and go on where an earlier watch ended."""

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from facetag.client.api_client import Line
from facetag.errors import ErrorCode, InputInvalid
from facetag.inputs.name_filter import NameFilter
from facetag.inputs.photo_files import FoundPhotos, LocalPhoto, collect_photos
from facetag.results.name_escapes import dump_json

SETTLED_S = 2.0
"""A file that changed this recently may still be being copied."""
RESCAN_S = 60.0
"""How often the folder is read without a sign of a change: network drives give none."""

LabelPhotos = Callable[[FoundPhotos], Iterable[Line]]
"""Labels photos and returns their lines, in order."""


class FolderWatch:
    """Labels the photos of a folder that are new or changed since it last looked.

    Lines are appended to `output`. The photos of lines that are there already count as labelled,
    unless they could not be read, or changed after the file did. One that cannot be read is tried
    again when its permissions change.
    """

    def __init__(
        self,
        folder: Path,
        output: Path,
        label: LabelPhotos,
        *,
        hidden: bool = True,
        names: NameFilter | None = None,
    ) -> None:
        self._folder = folder
        self._output = output
        self._label = label
        self._hidden = hidden
        self._names = names or NameFilter()
        self._done: dict[str, tuple[int, int]] = {}
        self._unread: dict[str, int] = {}
        """Times of the last change of photos that could not be read, or of their permissions."""
        self._waiting: dict[str, tuple[tuple[int, int], float]] = {}
        """Size and time of files that wait, and since when they are the same."""
        self._known = _read_names(output)
        self._known_since_ns = output.stat().st_mtime_ns if output.exists() else 0

    def look(self) -> bool:
        """Label what is new; return whether files are left that are still being written.

        Raises InputInvalid if the folder is gone.
        """
        try:
            found = collect_photos(self._folder, hidden=self._hidden, names=self._names)
        except FileNotFoundError as error:
            raise folder_gone(self._folder) from error
        if not self._folder.is_dir():
            raise folder_gone(self._folder)
        waiting = [photo for photo in found.photos if not self._is_done(photo)]
        settled = self._find_settled(waiting)
        if settled:
            self._append(self._label(replace(found, photos=settled)), settled)
        return len(settled) < len(waiting)

    def _is_done(self, photo: LocalPhoto) -> bool:
        if photo.name in self._done:
            same = self._done[photo.name] == _print_of(photo)
            return same and self._unread.get(photo.name) in (None, _changed_ns(photo))
        return photo.name in self._known and photo.mtime_ns <= self._known_since_ns

    def _find_settled(self, waiting: Sequence[LocalPhoto]) -> list[LocalPhoto]:
        """Return the files that are no longer being written.

        A camera's clock may be ahead of ours, so a file that has not changed for SETTLED_S since it
        was first seen has settled too.
        """
        now_s, before = time.monotonic(), self._waiting
        self._waiting = {}
        for photo in waiting:
            seen = before.get(photo.name)
            same = seen is not None and seen[0] == _print_of(photo)
            self._waiting[photo.name] = seen if seen and same else (_print_of(photo), now_s)
        newest_ns = time.time_ns() - int(SETTLED_S * 1e9)
        return [
            photo
            for photo in waiting
            if photo.mtime_ns <= newest_ns or self._waiting[photo.name][1] <= now_s - SETTLED_S
        ]

    def _append(self, lines: Iterable[Line], photos: Sequence[LocalPhoto]) -> None:
        with self._output.open("a", encoding="utf-8") as file:
            for photo, line in zip(photos, lines, strict=True):
                file.write(dump_json(line) + "\n")
                self._done[photo.name] = _print_of(photo)
                self._unread.pop(photo.name, None)
                if _is_unread(line):
                    self._unread[photo.name] = _changed_ns(photo)
            file.flush()
            if self._output.is_file():
                os.fsync(file.fileno())


def signs_of_change(folder: Path, *, check_ms: int) -> Iterator[Collection[object]]:
    """Yield what changes in a folder, or nothing after `check_ms`, until its owner stops.

    A change that the watcher cannot name, as that of a file whose name is not UTF-8, ends it: it
    begins anew then. Raises InputInvalid if the folder is gone.
    """
    from watchfiles import watch as watch_changes
    from watchfiles._rust_notify import WatchfilesRustInternalError

    missed: set[object] = set()
    while True:
        try:
            for changed in watch_changes(folder, rust_timeout=check_ms, yield_on_timeout=True):
                yield changed or missed
                missed = set()
        except FileNotFoundError as error:
            raise folder_gone(folder) from error
        except WatchfilesRustInternalError:
            time.sleep(check_ms / 1000)
            missed = {folder}
        else:
            return


def folder_gone(folder: Path) -> InputInvalid:
    """Return the error about a watched folder that is no longer there."""
    return InputInvalid(f"The folder {folder} is gone: give the command again once it is back.")


def follow(watch: FolderWatch, changes: Iterable[Collection[object]]) -> None:
    """Look at once, whenever something changed or was still being written, and every RESCAN_S."""
    unsettled, looked_s = watch.look(), time.monotonic()
    for changed in changes:
        if changed or unsettled or time.monotonic() - looked_s >= RESCAN_S:
            unsettled, looked_s = watch.look(), time.monotonic()


def _read_names(output: Path) -> set[str]:
    """Return the photos that have lines and could be read; a line that a kill cut is removed."""
    if not output.is_file():
        return set()
    names = set[str]()
    whole = 0
    with output.open("rb") as file:
        for text in file:
            if not text.endswith(b"\n"):
                break
            whole += len(text)
            with suppress(ValueError, KeyError, TypeError):
                line = json.loads(text)
                (names.discard if _is_unread(line) else names.add)(line["image"])
    if whole < output.stat().st_size:
        os.truncate(output, whole)
    return names


def _is_unread(line: Line) -> bool:
    return (line["error"] or {}).get("code") == ErrorCode.FILE_UNREADABLE


def _print_of(photo: LocalPhoto) -> tuple[int, int]:
    return photo.size, photo.mtime_ns


def _changed_ns(photo: LocalPhoto) -> int:
    try:
        return photo.path.stat().st_ctime_ns
    except OSError:
        return 0
