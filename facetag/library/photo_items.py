"""Turn what a caller of the library gives (paths, bytes, arrays, images) into named photos."""

import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from facetag.errors import ErrorCode, ImageUnreadable, InputInvalid
from facetag.inputs.photo_files import LocalPhoto, collect_photos, is_folder, unreadable
from facetag.vision.image_decoder import CUT_SHORT, DAMAGE, check_size, to_upright_rgb
from facetag.vision.photo import Pixels

FileBytes: TypeAlias = bytes | bytearray | memoryview
PhotoInput: TypeAlias = str | os.PathLike[str] | FileBytes | npt.NDArray[np.uint8] | Image.Image
"""A file, folder or tar; a file's bytes; RGB pixels (height, width, 3); or a Pillow image."""

_BYTES = (bytes, bytearray, memoryview)
_ONE = (str, os.PathLike, *_BYTES, np.ndarray, Image.Image)
_WEB = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class PhotoItem:
    """Hold one photo and the name that its results carry."""

    name: str
    photo: LocalPhoto | bytes | npt.NDArray[Any] | Image.Image

    @property
    def is_file(self) -> bool:
        """Whether it is a file or a file's bytes, not pixels."""
        return isinstance(self.photo, LocalPhoto | bytes)


def list_items(given: PhotoInput | Iterable[PhotoInput]) -> tuple[Iterator[PhotoItem], int | None]:
    """Return the photos in order, and their number if it is known before they are read.

    A folder or a tar stands for its photos, sorted. Names are paths as given (below a folder that
    is given alone, relative to it); what is no path is named by its position, from 0 on. An
    iterator is read as it goes. Raises InputInvalid for what cannot be a photo, and OSError for a
    folder that cannot be listed; warns of one below it.
    """
    # Of an open file, each line would be taken for a photo.
    if isinstance(given, _ONE) or hasattr(given, "read") or not np.iterable(given):
        items = list(_expand(given, 0, alone=True))
        return iter(items), len(items)
    lazily = (item for place, one in enumerate(given) for item in _expand(one, place, alone=False))
    if isinstance(given, Iterator):
        return lazily, None
    items = list(lazily)
    return iter(items), len(items)


def _expand(one: object, place: int, *, alone: bool) -> Iterator[PhotoItem]:
    if not isinstance(one, _ONE):
        kind = type(one).__name__
        way_out = "its bytes" if hasattr(one, "read") else "paths, bytes, arrays or Pillow images"
        raise InputInvalid(f"A {kind} is not a photo: give {way_out}.")
    if isinstance(one, _BYTES):
        yield PhotoItem(str(place), bytes(one))
        return
    if not isinstance(one, str | os.PathLike):
        yield PhotoItem(str(place), one)
        return
    path = _read_path(os.fspath(one))
    in_folder = is_folder(path)
    found = collect_photos(path)
    for folder in (*found.closed_folders, *found.foreign_links):
        warnings.warn(
            f"{folder} in {path} cannot be listed: its photos are left out.", stacklevel=2
        )
    for photo in found.photos:
        inside = in_folder or photo.offset is not None
        name = f"{path.as_posix()}/{photo.name}" if inside and not alone else photo.name
        yield PhotoItem(name, replace(photo, name=name))


def _read_path(text: str) -> Path:
    if text.startswith("s3://"):
        raise InputInvalid(
            f"{text} lies in object storage: label it by a service, with facetag.Client."
        )
    if text.lower().startswith(_WEB):
        raise InputInvalid(f"{text} lies in the web: download it, and give its path or its bytes.")
    # Path("") is the current folder.
    if not text or "\0" in text:
        raise InputInvalid(f"{text!r} is not a path: give that of a photo, a folder or a tar.")
    return Path(text)


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


def to_pixels(photo: npt.NDArray[Any] | Image.Image, max_pixels: int) -> Pixels:
    """Return upright RGB pixels; raises ImageUnreadable for what is no image or has too many."""
    if isinstance(photo, Image.Image):
        check_size(photo.size, max_pixels)
        return _load_pixels(photo)
    if photo.dtype != np.uint8 or not photo.size or photo.ndim not in (2, 3):
        raise _not_pixels(photo)
    check_size(photo.shape[1::-1], max_pixels)
    if photo.ndim == 2:
        return np.repeat(np.asarray(photo)[..., None], 3, axis=2)
    if photo.shape[2] != 3:
        raise _not_pixels(photo)
    return np.ascontiguousarray(photo)


def _load_pixels(image: Image.Image) -> Pixels:
    if not image.width or not image.height:
        raise ImageUnreadable(
            ErrorCode.NOT_AN_IMAGE, f"An image of {image.width}x{image.height} pixels is no photo."
        )
    try:
        # An image that was only opened is read from its file here.
        return np.asarray(to_upright_rgb(image))
    except DAMAGE as error:
        text = str(error).rstrip(".")
        cut = any(words in text.lower() for words in CUT_SHORT)
        raise ImageUnreadable(
            ErrorCode.TRUNCATED if cut else ErrorCode.DECODE_ERROR,
            f"Pillow cannot read the pixels of this image: {text}.",
        ) from error


def _not_pixels(photo: npt.NDArray[Any]) -> ImageUnreadable:
    return ImageUnreadable(
        ErrorCode.NOT_AN_IMAGE,
        f"An array of {photo.dtype} {photo.shape} is not a photo: give uint8 (height, width, 3), "
        "RGB.",
    )
