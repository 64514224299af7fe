"""Label what arrives in a folder, pass by pass, and go on where an earlier watch ended."""

import json
import os
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from facetag.client.api_client import Line
from facetag.inputs.name_filter import NameFilter
from facetag.inputs.photo_files import FoundPhotos, LocalPhoto, collect_photos

SETTLED_S = 2.0
"""A file that changed this recently may still be being copied."""

LabelPhotos = Callable[[FoundPhotos], Iterable[Line]]
"""Labels photos and returns their lines, in order."""


class FolderWatch:
    """Labels the photos of a folder that are new or changed since it last looked.

    Lines are appended to `output`. The photos of lines that are there already count as labelled,
    unless they changed after the file did.
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
        self._known = _read_names(output)
        self._known_since_ns = output.stat().st_mtime_ns if output.exists() else 0

    def look(self) -> bool:
        """Label what is new; return whether files are left that are still being written."""
        found = collect_photos(self._folder, hidden=self._hidden, names=self._names)
        waiting = [photo for photo in found.photos if not self._is_done(photo)]
        newest_ns = time.time_ns() - int(SETTLED_S * 1e9)
        settled = [photo for photo in waiting if photo.mtime_ns <= newest_ns]
        if settled:
            self._append(self._label(replace(found, photos=settled)))
            self._done |= {photo.name: (photo.size, photo.mtime_ns) for photo in settled}
        return len(settled) < len(waiting)

    def _is_done(self, photo: LocalPhoto) -> bool:
        if photo.name in self._done:
            return self._done[photo.name] == (photo.size, photo.mtime_ns)
        return photo.name in self._known and photo.mtime_ns <= self._known_since_ns

    def _append(self, lines: Iterable[Line]) -> None:
        with self._output.open("a", encoding="utf-8") as file:
            for line in lines:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            if self._output.is_file():
                os.fsync(file.fileno())


def follow(watch: FolderWatch, changes: Iterable[Collection[object]]) -> None:
    """Look at once, and then whenever something changed or was still being written."""
    unsettled = watch.look()
    for changed in changes:
        if changed or unsettled:
            unsettled = watch.look()


def _read_names(output: Path) -> set[str]:
    """Return the photos that have lines; a line that a kill cut off is removed."""
    if not output.is_file():
        return set()
    names = set()
    whole = 0
    with output.open("rb") as file:
        for text in file:
            if not text.endswith(b"\n"):
                break
            whole += len(text)
            with suppress(ValueError, KeyError, TypeError):
                names.add(json.loads(text)["image"])
    if whole < output.stat().st_size:
        os.truncate(output, whole)
    return names
