"""Read training shards: tars of images with labels in their names or in JSON beside them."""

import hashlib
import io
import json
import math
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO

from facetag.errors import ShardUnreadable
from facetag.heads import AGE, GENDER, HEADS, MAX_AGE, RACE, Head
from facetag.inputs.tar_headers import BoundedTarInfo, list_headers
from facetag_trainer.data.hashed_file import READ_BYTES, HashedFile

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
MAX_IMAGE_BYTES = 64 * 2**20
MAX_SIDECAR_BYTES = 2**20
"""A compressed tar of some megabytes may state members of gigabytes."""
MAX_MEMBERS = 2_000_000
NAME_PATTERN = re.compile(r"^(?P<age>\d+)_(?P<gender>\d+)_(?P<race>\d+)_[^/]+$")


FaceBox = tuple[float, float, float, float]
"""Left, top, width and height of a face, in pixels of its image."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What the JSON beside an image says: the labels, and the box of the face that has them."""

    labels: Mapping[str, float]
    box: FaceBox | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled image; `labels` maps heads to years or a label's code, and may lack heads.

    Without a `box`, they are those of the largest face.
    """

    name: str
    data: bytes = field(repr=False)
    labels: Mapping[str, float]
    box: FaceBox | None = None

    @property
    def sha256(self) -> str:
        """SHA-256 of the encoded image, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


class Drop(StrEnum):
    """Why a sample is dropped, in the words of manifests, cards and reports."""

    MALFORMED_NAME = "malformed name"
    BAD_LABELS = "labels missing or out of range"
    UNDECODABLE = "undecodable image"
    COPY = "identical image"
    DISAGREEING = "identical images whose labels disagree"


@dataclass(frozen=True, slots=True)
class BadSample:
    """A member of a shard that cannot be used, with the kind of fault and the reason."""

    name: str
    drop: Drop
    reason: str


class Parsed(dict[int, Sidecar | ValueError]):
    """What JSON files say, by their first byte in the tar: many names may link to one file.

    Going back to it in a compressed tar would take as long as reading the tar again.
    """


def read_shards(paths: Sequence[Path]) -> Iterator[Sample | BadSample]:
    """Yield every image of the shards in order; raises ShardUnreadable for any other file."""
    for path in paths:
        found = False
        for item in read_shard(path):
            found = True
            yield item
        if not found:
            raise _no_image(path)


def read_shard(path: Path) -> Iterator[Sample | BadSample]:
    """Yield the images of one tar in its order; raises ShardUnreadable unless it is a tar.

    One image at a time is in memory, so the tar is gone through twice: labels may come after the
    image that they belong to.
    """
    with _shard_faults(path), path.open("rb") as file, _open_tar(file) as archive:
        members, parsed = list(_list_members(archive)), Parsed()
        sidecars = {
            _key(member): sidecar
            for member in members
            if (sidecar := _read_sidecar(archive, member, parsed)) is not None
        }
        for member in members:
            if (image := _read_image(archive, member)) is not None:
                yield _label(image, sidecars.get(_key(member)))


def read_shard_once(path: Path) -> tuple[list[Sample | BadSample], str]:
    """Return all images of one tar in its order, and the SHA-256 of the file in hexadecimal.

    The file is read from its start to its end once. Raises ShardUnreadable unless it is a tar with
    an image.
    """
    images: list[tuple[str, tuple[str, bytes] | BadSample]] = []
    sidecars: dict[str, Sidecar | ValueError] = {}
    parsed = Parsed()
    with _shard_faults(path), HashedFile(path) as raw, io.BufferedReader(raw, READ_BYTES) as file:
        with _open_tar(file) as archive:
            for member in _list_members(archive):
                key = _key(member)
                if (sidecar := _read_sidecar(archive, member, parsed)) is not None:
                    sidecars[key] = sidecar
                elif (image := _read_image(archive, member)) is not None:
                    images.append((key, image))
        digest = raw.hash_rest()
    if not images:
        raise _no_image(path)
    return [_label(image, sidecars.get(key)) for key, image in images], digest


def shard_digest(path: Path) -> str:
    """Return the SHA-256 of a shard's file; raises ShardUnreadable if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ShardUnreadable(f"There is no shard at {path} ({error.strerror}).") from error


def name_apart(shards: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return digests by file name, from pairs of both; a repeated name gets a number."""
    named: dict[str, str] = {}
    for name, digest in shards:
        number, free = 1, name
        while free in named:
            number += 1
            free = f"{name} ({number})"
        named[free] = digest
    return named


def parse_name(name: str) -> Mapping[str, float]:
    """Return the labels in a UTKFace file name; raises ValueError with the fault."""
    match = NAME_PATTERN.match(name)
    if match is None:
        raise ValueError("the name is not AGE_GENDER_RACE_*")
    return _check_labels({head.name: float(match[head.name]) for head in HEADS})


def _open_tar(file: IO[bytes]) -> tarfile.TarFile:
    # Given a path, tarfile would open it once per compression that it tries.
    return tarfile.open(fileobj=file, tarinfo=BoundedTarInfo)


@contextmanager
def _shard_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ShardUnreadable(f"There is no shard at {path}: check the path.") from error
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ShardUnreadable(f"{path} cannot be read as a tar: {error}.") from error


def _no_image(path: Path) -> ShardUnreadable:
    return ShardUnreadable(
        f"{path} holds no image named AGE_GENDER_RACE_*.jpg and no KEY.jpg + KEY.json pair."
    )


def _list_members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members; a hard link to an earlier file is that file under another name."""
    files: dict[str, tarfile.TarInfo] = {}
    for number, member in enumerate(list_headers(archive)):
        if number == MAX_MEMBERS:
            raise tarfile.ReadError(f"it has more than {MAX_MEMBERS} members")
        file = files.get(member.linkname) if member.islnk() else member
        if file is None or not file.isfile():
            yield member
            continue
        if file is not member:
            file = copy(file)
            file.name = member.name
        files[file.name] = file
        yield file


def _key(member: tarfile.TarInfo) -> str:
    """Return what an image and the JSON beside it have in common."""
    return member.name.rsplit(".", 1)[0]


def _read_image(
    archive: tarfile.TarFile, member: tarfile.TarInfo
) -> tuple[str, bytes] | BadSample | None:
    """Return an image's name and bytes, or its fault; None if the member is no image."""
    name, is_link = member.name.rsplit("/", 1)[-1], member.issym() or member.islnk()
    is_image = member.name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")
    if not is_image or not (member.isfile() or is_link):
        return None
    if is_link:
        reason = f"it is a link to {member.linkname}: pack files with `tar --dereference`"
        return BadSample(name, Drop.UNDECODABLE, reason)
    if member.size > MAX_IMAGE_BYTES:
        reason = f"it has {member.size} bytes; at most {MAX_IMAGE_BYTES} are read"
        return BadSample(name, Drop.UNDECODABLE, reason)
    opened = archive.extractfile(member)
    return name, opened.read() if opened else b""


def _read_sidecar(
    archive: tarfile.TarFile, member: tarfile.TarInfo, parsed: Parsed
) -> Sidecar | ValueError | None:
    """Return what a JSON file says, or its fault; None for any other member."""
    if not member.isfile() or not member.name.endswith(".json"):
        return None
    if member.size > MAX_SIDECAR_BYTES:
        return None
    if member.offset_data not in parsed and (file := archive.extractfile(member)) is not None:
        parsed[member.offset_data] = parse_sidecar(file.read())
    return parsed.get(member.offset_data)


def _label(
    image: tuple[str, bytes] | BadSample, sidecar: Sidecar | ValueError | None
) -> Sample | BadSample:
    return image if isinstance(image, BadSample) else to_sample(*image, sidecar)


def to_sample(name: str, data: bytes, sidecar: Sidecar | ValueError | None) -> Sample | BadSample:
    """Return an image with the labels of the JSON beside it, or of its name without JSON."""
    try:
        if isinstance(sidecar, ValueError):
            raise sidecar
        said = Sidecar(parse_name(name)) if sidecar is None else sidecar
    except (ValueError, OverflowError) as error:
        nameless = sidecar is None and NAME_PATTERN.match(name) is None
        return BadSample(name, Drop.MALFORMED_NAME if nameless else Drop.BAD_LABELS, str(error))
    return Sample(name, data, said.labels, said.box)


def parse_sidecar(sidecar: bytes) -> Sidecar | ValueError:
    """Return what the JSON beside an image says, or its fault."""
    try:
        return _parse_sidecar(sidecar)
    except (ValueError, OverflowError) as error:
        return ValueError(str(error))


def _parse_sidecar(sidecar: bytes) -> Sidecar:
    try:
        values = json.loads(sidecar)
    except RecursionError as error:
        raise ValueError("the JSON beside the image is nested too deeply") from error
    if not isinstance(values, dict):
        raise ValueError("the JSON beside the image is not an object")
    labels: dict[str, float] = {}
    for head in HEADS:
        value = values.get(head.name)
        if value is None:
            continue
        labels[head.name] = _read_label(head, value)
    if not labels:
        raise ValueError("the JSON beside the image has no label")
    return Sidecar(_check_labels(labels), _read_box(values.get("box")))


def _read_box(value: object) -> FaceBox | None:
    """Return a box as `facetag review` writes it; None for what other programs may name so."""
    if not isinstance(value, list) or len(value) != len(("x", "y", "width", "height")):
        return None
    if not all(type(one) in (int, float) and math.isfinite(one) for one in value):
        return None
    left, top, width, height = (float(one) for one in value)
    return (left, top, width, height) if width > 0 and height > 0 else None


def _read_label(head: Head, value: object) -> float:
    if isinstance(value, str) and head.labels:
        return float(head.code_of(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{head.name} {value!r} is not a label")
    if head.labels and value != int(value):
        raise ValueError(f"{head.name} {value!r} is not the code of a label")
    return float(value)


def _check_labels(labels: Mapping[str, float]) -> Mapping[str, float]:
    limits = {
        AGE.name: MAX_AGE,
        GENDER.name: len(GENDER.labels) - 1,
        RACE.name: len(RACE.labels) - 1,
    }
    for name, value in labels.items():
        if not 0 <= value <= limits[name]:
            raise ValueError(f"{name} {value:g} is outside 0..{limits[name]}")
    return labels
