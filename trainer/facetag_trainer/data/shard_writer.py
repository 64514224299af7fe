"""Split a folder of labelled images into training shards and a test shard.

The content of an image decides its shard, and look-alikes go to the same one. So every machine
splits the same folder the same way, and no test image has a near duplicate in training.
"""

import io
import tarfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from facetag.atomic_write import atomic_open
from facetag.errors import FacetagError, ImageUnreadable, ShardUnreadable
from facetag.settings import Settings
from facetag.vision.difference_hash import difference_hash
from facetag.vision.image_decoder import decode_image
from facetag_trainer.data.shards import (
    IMAGE_SUFFIXES,
    BadSample,
    Drop,
    Sample,
    parse_sidecar,
    to_sample,
)
from facetag_trainer.data.splits import group_look_alikes

TEST = "test.tar"


@dataclass(frozen=True, slots=True)
class Sharded:
    """The outcome of a split: images per shard, and the files left out with the reason."""

    counts: dict[str, int]
    left_out: list[BadSample]


@dataclass(frozen=True, slots=True)
class _Member:
    path: Path
    sha256: str
    difference_hash: np.ndarray = field(repr=False)


def shard_folder(
    folder: Path,
    output: Path,
    parts: int,
    test_share: float,
    settings: Settings,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Sharded:
    """Write `output`/part-1.tar to part-`parts`.tar and test.tar (unless `test_share` is 0).

    Images are named AGE_GENDER_RACE_* or have a KEY.json beside them; they may be in subfolders.
    Those without a valid label, and those that cannot be decoded, are left out. Raises FacetagError
    if a shard exists already, and ShardUnreadable if there is no usable image.
    """
    names = [f"part-{number}.tar" for number in range(1, parts + 1)]
    names += [TEST] if test_share else []
    for name in names:
        if (output / name).exists():
            raise FacetagError(f"{output / name} exists: give another --output, or remove it.")
    members, left_out = _read_folder(folder, settings, on_progress)
    if not members:
        raise ShardUnreadable(
            f"{folder} holds no usable image named AGE_GENDER_RACE_*.jpg or with a KEY.json."
        )
    chosen = _choose_shards(members, parts, test_share)
    output.mkdir(parents=True, exist_ok=True)
    for name in names:
        inside = [one.path for one, shard in zip(members, chosen, strict=True) if shard == name]
        _write_tar(output / name, folder, inside)
    counts = Counter(chosen)
    return Sharded({name: counts[name] for name in names}, left_out)


def _read_folder(
    folder: Path, settings: Settings, on_progress: Callable[[int, int], None]
) -> tuple[list[_Member], list[BadSample]]:
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
    )
    members, left_out = [], []
    for done, path in enumerate(paths, 1):
        found = _read_member(path, path.relative_to(folder).as_posix(), settings)
        if isinstance(found, BadSample):
            left_out.append(found)
        else:
            members.append(found)
        on_progress(done, len(paths))
    return members, left_out


def _read_member(path: Path, name: str, settings: Settings) -> _Member | BadSample:
    sidecar = path.with_suffix(".json")
    try:
        beside = parse_sidecar(sidecar.read_bytes()) if sidecar.is_file() else None
        sample = to_sample(path.name, path.read_bytes(), beside)
        if not isinstance(sample, Sample):
            return replace(sample, name=name)
        photo = decode_image(
            sample.data, formats=settings.image_formats, max_pixels=settings.max_image_pixels
        )
    except OSError as error:
        return BadSample(name, Drop.UNDECODABLE, f"it cannot be read: {error.strerror}")
    except ImageUnreadable as error:
        return BadSample(name, Drop.UNDECODABLE, str(error))
    return _Member(path, sample.sha256, difference_hash(photo))


def _choose_shards(members: Sequence[_Member], parts: int, test_share: float) -> list[str]:
    groups = group_look_alikes(np.stack([member.difference_hash for member in members]))
    least: dict[int, str] = {}
    for member, group in zip(members, groups, strict=True):
        least[group] = min(least.get(group, member.sha256), member.sha256)
    return [_shard_of(least[group], parts, test_share) for group in groups]


def _shard_of(digest: str, parts: int, test_share: float) -> str:
    # Other digits than the first eight, which decide what is held out of training.
    place = int(digest[8:16], 16) / 2**32
    if place < test_share:
        return TEST
    return f"part-{1 + int((place - test_share) / (1 - test_share) * parts)}.tar"


def _write_tar(path: Path, folder: Path, images: Sequence[Path]) -> None:
    # The same folder gives the same bytes.
    with (
        atomic_open(path, sole_writer=True) as tar,
        tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for image in images:
            sidecar = image.with_suffix(".json")
            for file in (image, sidecar) if sidecar.is_file() else (image,):
                data = file.read_bytes()
                member = tarfile.TarInfo(file.relative_to(folder).as_posix())
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
