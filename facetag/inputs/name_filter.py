"""Choose among the files of a folder by their names."""

import re
from collections.abc import Sequence

from pathspec import PathSpec

COMPANION_FOLDERS = frozenset({"@eaDir", "__MACOSX", ".AppleDouble"})
"""Folders in which Synology and macOS keep previews and attributes of the photos beside them."""
COMPANION_PREFIX = "._"
"""The first characters of the files in which macOS keeps a file's attributes on other disks."""


def is_companion(name: str) -> bool:
    """Tell whether macOS or a NAS made this file for a photo: it ends like one, and is none."""
    *folders, file = name.split("/")
    return file.startswith(COMPANION_PREFIX) or not COMPANION_FOLDERS.isdisjoint(folders)


_OPEN_BRACKET = re.compile(r"(?<!\\)\[(?![!^]?.[^]]*\])")
"""A bracket without its end: .gitignore then matches nothing."""


def is_pattern(text: str) -> bool:
    """Tell whether this is a pattern that can match a name, and no comment."""
    try:
        (pattern,) = PathSpec.from_lines("gitignore", [text]).patterns
    except (ValueError, re.error):
        return False
    return pattern.include is not None and not _OPEN_BRACKET.search(text)


class NameFilter:
    """Keep the names that a pattern of `include` matches (all, if it is empty) and none of
    `exclude`.

    Patterns are those of .gitignore: `*.png` matches in every folder, `2019/` a whole folder, and
    `/a/*.jpg` only below the folder that is searched.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = PathSpec.from_lines("gitignore", include) if include else None
        self._exclude = PathSpec.from_lines("gitignore", exclude) if exclude else None

    def keeps(self, name: str) -> bool:
        """Tell whether the photo of this name is to be labelled."""
        if self._include is not None and not self._include.match_file(name):
            return False
        return self._exclude is None or not self._exclude.match_file(name)
