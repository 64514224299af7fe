"""Turn what a caller of the library gives (paths, bytes, arrays, images) into named photos."""

import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from facetag.errors import ErrorCode, ImageUnreadable, InputInvalid
from facetag.inputs.photo_files import LocalPhoto, collect_photos, unreadable
from facetag.inputs.tar_photos import TAR_SUFFIX
from facetag.vision.image_decoder import to_rgb
from facetag.vision.photo import Pixels

PhotoInput: TypeAlias = str | os.PathLike[str] | bytes | npt.NDArray[np.uint8] | Image.Image
"""A file, folder or tar; a file's bytes; RGB pixels (height, width, 3); or a Pillow image."""

_ONE = (str, os.PathLike, bytes, np.ndarray, Image.Image)


@dataclass(frozen=True, slots=True)
class PhotoItem:
    """Hold one photo and the name that its results carry."""

    name: str
    photo: LocalPhoto | bytes | npt.NDArray[Any] | Image.Image


def list_items(given: PhotoInput | Iterable[PhotoInput]) -> tuple[Iterator[PhotoItem], int | None]:
    """Return the photos in order, and their number if it is known before they are read.

    A folder or a tar stands for its photos, sorted. Names are paths as given (below a folder that
    is given alone, relative to it); what is no path is named by its position, from 0 on. An
    iterator is read as it goes. Raises InputInvalid for what cannot be a photo, and OSError for a
    folder that cannot be listed; warns of one below it.
    """
    if isinstance(given, _ONE):
        items = list(_expand(given, 0, alone=True))
        return iter(items), len(items)
    lazily = (item for place, one in enumerate(given) for item in _expand(one, place, alone=False))
    if isinstance(given, Iterator):
        return lazily, None
    items = list(lazily)
    return iter(items), len(items)


def _expand(one: PhotoInput, place: int, *, alone: bool) -> Iterator[PhotoItem]:
    if not isinstance(one, _ONE):
        raise InputInvalid(
            f"A {type(one).__name__} is not a photo: give paths, bytes, arrays or Pillow images."
        )
    if not isinstance(one, str | os.PathLike):
        yield PhotoItem(str(place), one)
        return
    if str(one).startswith("s3://"):
        raise InputInvalid(
            f"{one} lies in object storage: label it by a service, with facetag.Client."
        )
    path = Path(one)
    inside = path.is_dir() or path.suffix.lower() == TAR_SUFFIX
    found = collect_photos(path)
    for folder in (*found.closed_folders, *found.foreign_links):
        warnings.warn(
            f"{folder} in {path} cannot be listed: its photos are left out.", stacklevel=2
        )
    for photo in found.photos:
        name = f"{path.as_posix()}/{photo.name}" if inside and not alone else photo.name
        yield PhotoItem(name, replace(photo, name=name))


def read_item(item: PhotoItem, max_bytes: int) -> bytes:
    """Return the bytes of a file's photo; raises ImageUnreadable as the command's results have it.

    What is given as bytes is returned as it is.
    """
    if isinstance(item.photo, bytes):
        return item.photo
    assert isinstance(item.photo, LocalPhoto)  # noqa: S101 - pixels are not read
    refusal = item.photo.refusal(max_bytes)
    if refusal is not None:
        raise ImageUnreadable(*refusal)
    try:
        return item.photo.read_bytes()
    except OSError as error:
        raise ImageUnreadable(ErrorCode.FILE_UNREADABLE, unreadable(error)) from error


def to_pixels(photo: npt.NDArray[Any] | Image.Image) -> Pixels:
    """Return upright RGB pixels; raises ImageUnreadable for an array that is no image."""
    if isinstance(photo, Image.Image):
        return np.asarray(to_rgb(ImageOps.exif_transpose(photo)))
    if photo.dtype != np.uint8 or not photo.size or photo.ndim not in (2, 3):
        raise _not_pixels(photo)
    if photo.ndim == 2:
        return np.repeat(photo[..., None], 3, axis=2)
    if photo.shape[2] != 3:
        raise _not_pixels(photo)
    return np.ascontiguousarray(photo)


def _not_pixels(photo: npt.NDArray[Any]) -> ImageUnreadable:
    return ImageUnreadable(
        ErrorCode.NOT_AN_IMAGE,
        f"An array of {photo.dtype} {photo.shape} is not a photo: give uint8 (height, width, 3), "
        "RGB.",
    )
