"""Write the faces that people reviewed as a training shard."""

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facetag.atomic_write import atomic_open
from facetag.errors import ImageUnreadable, ReviewInvalid, ShardUnreadable
from facetag.heads import HEADS, is_counted
from facetag.reviews.missed_faces import clip_drawn_box
from facetag.reviews.verdicts import label_of
from facetag.settings import Settings
from facetag.vision.image_decoder import decode_image
from facetag.vision.turned_views import GROUND, SIDEWAYS

MARGIN = 0.5
"""Pixels around a face, as a share of its box: the detector finds it again."""
QUALITY = 95

Line = Mapping[str, Any]
Size = tuple[int, int]
"""Width and height in pixels."""


def write_review_shard(
    lines: Iterable[Line], read_photo: Callable[[int], bytes], output: Path, settings: Settings
) -> tuple[int, int]:
    """Write a tar of KEY.jpg and KEY.json per reviewed face; return faces written and left out.

    `read_photo` gives the bytes of the photo at a position. KEY.json holds the labels that are
    certain and the face's box in KEY.jpg. A face without any such label, one outside its photo, and
    one whose photo cannot be read, are left out. Raises ShardUnreadable, and writes nothing, if no
    face is left.
    """
    written = left_out = 0
    with atomic_open(output) as file, tarfile.open(fileobj=file, mode="w") as archive:
        for line in lines:
            faces = [face for face in line["faces"] if face.get("reviewed")]
            usable = [(face, labels) for face in faces if (labels := agreed_labels(face))]
            left_out += len(faces) - len(usable)
            if not usable:
                continue
            try:
                pixels = decode_image(
                    read_photo(line["position"]),
                    formats=settings.image_formats,
                    max_pixels=settings.max_image_pixels,
                )
            except ImageUnreadable:
                left_out += len(usable)
                continue
            photo = Image.fromarray(pixels)
            for number, (face, labels) in enumerate(usable):
                try:
                    seen = clip_drawn_box(face["box"], photo.width, photo.height)
                except ReviewInvalid:
                    # An earlier release recorded boxes of missed faces as they were given.
                    left_out += 1
                    continue
                picture, box = cut_face(photo, seen, face.get("turned") or 0)
                key = f"{line['position']:06}-{number}"
                _add(archive, f"{key}.jpg", picture)
                _add(archive, f"{key}.json", json.dumps(labels | {"box": box}).encode())
                written += 1
        if written == 0:
            raise ShardUnreadable(
                "No face of this job has a label that its reviewers agree on: review it on the "
                "page first."
            )
    return written, left_out


def agreed_labels(face: Mapping[str, Any]) -> dict[str, Any]:
    """Return the labels of a reviewed face on which its reviewers agree; none if it may be none."""
    if not is_counted(face):
        return {}
    doubted = face.get("uncertain") or ()
    found = {head.name: label_of(face, head.name) for head in HEADS if head.name not in doubted}
    return {name: label for name, label in found.items() if label is not None}


def cut_face(photo: Image.Image, box: Iterable[int], turned: int = 0) -> tuple[bytes, list[int]]:
    """Return a JPEG of the face with a margin, and its box in that JPEG.

    `turned` is by how many degrees clockwise the photo is turned; the JPEG is upright.
    """
    x, y, width, height = box
    around = round(MARGIN * max(width, height))
    left, top = max(0, x - around), max(0, y - around)
    right = min(photo.width, x + width + around)
    bottom = min(photo.height, y + height + around)
    cut = photo.crop((left, top, right, bottom))
    inside = (x - left, y - top, width, height)
    upright = cut.rotate(turned, Image.Resampling.BILINEAR, expand=True, fillcolor=GROUND)
    out = io.BytesIO()
    upright.save(out, "JPEG", quality=QUALITY)
    return out.getvalue(), _turn_back(inside, cut.size, upright.size, turned)


def _turn_back(box: tuple[int, int, int, int], before: Size, after: Size, turned: int) -> list[int]:
    """Return where a box lies in a picture that was turned back, from its sizes before and after.

    As in `facetag.vision.turned_views`, a box keeps its sides where the photo lay aslant.
    """
    x, y, width, height = box
    middle = complex(x + width / 2, y + height / 2) - complex(*before) / 2
    middle = middle * np.exp(-1j * np.radians(turned)) + complex(*after) / 2
    if turned in SIDEWAYS:
        width, height = height, width
    return [round(middle.real - width / 2), round(middle.imag - height / 2), width, height]


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))
