"""Lay links to photos into a dataset's folder, so that no photo is copied."""

from pathlib import Path

from facetag.errors import InputInvalid
from facetag.inputs.photo_files import photo_below


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
