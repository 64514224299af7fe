"""Lay links to photos into a dataset's folder, so that no photo is copied."""

import hashlib
import re
from pathlib import Path

from facetag.errors import InputInvalid
from facetag.inputs.photo_files import photo_below

MAX_PART_BYTES = 255
"""The longest name of a file or folder that file systems take."""
KEPT_BYTES = 200
"""Last bytes of a longer name that its link's name keeps."""
_UNFIT = re.compile("[\ud800-\udfff\\\\]|::|%[0-9A-F]{2}")
_ENCODED = re.compile("[\ud800-\udfff\\\\:%]")


def link_name(name: str) -> str:
    """Return the name of the link to a photo: UTF-8 that every tool reads; no two are the same.

    Bytes that are not UTF-8 are written as in URLs, and so are backslashes, which `datasets` takes
    for slashes, and `::`, which it takes for the way into an archive.
    """
    if _UNFIT.search(name):
        name = _ENCODED.sub(_encode, name)
    return "/".join(map(_shorten, name.split("/")))


def _encode(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape"))


def _shorten(part: str) -> str:
    data = part.encode()
    if len(data) <= MAX_PART_BYTES:
        return part
    return hashlib.sha256(data).hexdigest()[:16] + data[-KEPT_BYTES:].decode(errors="ignore")


def link_photo(photos: Path, name: str, link: Path) -> None:
    """Make `link` point to the photo `name` of the folder; an older link is replaced.

    Raises InputInvalid if the folder does not hold the photo, or if a file of its own is there.
    """
    photo = photo_below(photos, name)
    if photo is None or not photo.is_file():
        raise InputInvalid(
            f"{photos} holds no {name}: give --photos the folder with the files that were labelled."
        )
    if link.exists() and not link.is_symlink():
        raise InputInvalid(
            f"{link} is a file, which a link would replace: give --output a folder of its own."
        )
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(photo.absolute())


def require_apart(folder: Path, photos: Path) -> None:
    """Raise InputInvalid if links in a folder would lie among the photos themselves."""
    if folder.exists() and folder.samefile(photos):
        raise InputInvalid(
            f"{folder} holds the photos themselves: give --output a folder of its own."
        )
