"""Measure what turning a photo changes in what is read of its faces.

Photos are public-domain portraits and, of a labelled shard, single chips on grounds without a face.
Each is turned by several angles and labelled again; what is read is held against the same face
upright.

    python -m benchmarks.turned_photos path/to/test.tar --chips 200
"""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from PIL import Image

from benchmarks.harness.machine import describe_machine
from benchmarks.samples import load_photo
from facetag.settings import load_settings
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.photo import WORKING_SIDE, whole_picture

if TYPE_CHECKING:
    from facetag.results.image_lines import Face
    from facetag.vision.labeller import Labeller

ANGLES = (20, 30, 45, 90, 180, 270, 330)
"""Degrees clockwise."""
SCENE = 640
SMALLEST, LARGEST = 120, 260
GROUNDS = ("coffee.png", "chelsea.png", "rocket.jpg", "brick.png")
BATCH = 16


@dataclass(frozen=True, slots=True)
class Shift:
    """What changed at one angle, over the photos whose face is found upright."""

    upright: int
    found: float
    """Share that is found again."""
    age_shift: float | None
    """Mean change of the apparent age, in years."""
    other_gender: float | None
    """Share that is read as another gender."""
    flagged: float | None
    """Share of those found whose labels are all called uncertain."""


@click.command(help=__doc__)
@click.argument("shard", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--chips", default=200, show_default=True, help="Chips of the shard to look at.")
@click.option("--seed", default=1, show_default=True)
def main(shard: Path | None, chips: int, seed: int) -> None:
    """Make the photos, turn them, print what changes as JSON."""
    from facetag.vision.labeller import load_labeller

    labeller = load_labeller(load_settings(), CpuSlots.for_one_caller())
    photos = make_portraits(12, seed)
    if shard is not None:
        photos += make_scenes(shard, chips, seed)
    measured = {angle: asdict(shift) for angle, shift in measure(labeller, photos).items()}
    report = {"machine": describe_machine(), "seed": seed, "photos": len(photos), "by": measured}
    click.echo(json.dumps(report, indent=2))


def make_portraits(count: int, seed: int) -> list[Image.Image]:
    """Return pieces of a public-domain portrait, of several sizes and lights."""
    rng = np.random.default_rng(seed)
    photo = load_photo("astronaut.png")
    portraits = []
    for index in range(count):
        left, top = (int(value) for value in rng.integers(0, 60, 2))
        piece = photo.crop((left, top // 4, left + 430, top // 4 + 430))
        side = int(rng.integers(260, 700))
        piece = piece.resize((side, side), Image.Resampling.BICUBIC)
        power = float(rng.uniform(0.7, 1.4))
        piece = piece.point([round(255 * (level / 255) ** power) for level in range(256)] * 3)
        portraits.append(piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if index % 2 else piece)
    return portraits


def make_scenes(shard: Path, count: int, seed: int) -> list[Image.Image]:
    """Return chips of a shard, each in the middle of a ground without a face."""
    from facetag_trainer.data.shards import Sample, read_shards

    rng = np.random.default_rng(seed)
    samples = [item for item in read_shards([shard]) if isinstance(item, Sample)]
    scenes = []
    for index in rng.permutation(len(samples))[:count]:
        scene = load_photo(GROUNDS[rng.integers(len(GROUNDS))]).resize((SCENE, SCENE))
        side = int(rng.integers(SMALLEST, LARGEST + 1))
        x, y = (int(value) for value in rng.integers(SCENE // 2 - side, SCENE // 2, 2))
        with Image.open(io.BytesIO(samples[index].data)) as chip:
            scene.paste(chip.convert("RGB").resize((side, side)), (x, y))
        scenes.append(scene)
    return scenes


def turn(photo: Image.Image, angle: float) -> Image.Image:
    """Return a photo turned clockwise about its middle, with grey where there is none of it."""
    return photo.rotate(-angle, Image.Resampling.BICUBIC, expand=True, fillcolor=(118, 118, 118))


def measure(
    labeller: "Labeller", photos: Sequence[Image.Image], angles: Sequence[float] = ANGLES
) -> dict[float, Shift]:
    """Return what changes at each angle, in the largest face of each photo."""
    upright = [faces[0] if faces else None for faces in _label(labeller, photos)]
    shifts = {}
    for angle in angles:
        turned = [turn(photo, angle) for photo in photos]
        pairs = [
            (face, _same(face, photo, view, angle, faces))
            for face, photo, view, faces in zip(
                upright, photos, turned, _label(labeller, turned), strict=True
            )
            if face is not None
        ]
        shifts[angle] = _summarise(pairs)
    return shifts


def _label(labeller: "Labeller", photos: Sequence[Image.Image]) -> list[list["Face"]]:
    found = []
    for start in range(0, len(photos), BATCH):
        part = [np.asarray(photo) for photo in photos[start : start + BATCH]]
        found += labeller.label([whole_picture(pixels, WORKING_SIDE) for pixels in part]).faces
    return found


def _same(
    face: "Face", photo: Image.Image, view: Image.Image, angle: float, found: Sequence["Face"]
) -> "Face | None":
    """Return the face of the turned photo whose middle lies where the upright one's went."""
    x, y, width, height = face.box
    middle = complex(x + width / 2 - photo.width / 2, y + height / 2 - photo.height / 2)
    went = middle * np.exp(1j * np.radians(angle)) + complex(view.width / 2, view.height / 2)
    for other in found:
        left, top, across, down = other.box
        if abs(complex(left + across / 2, top + down / 2) - went) < 0.4 * max(width, height):
            return other
    return None


def _summarise(pairs: Sequence[tuple["Face", "Face | None"]]) -> Shift:
    both = [(one, other) for one, other in pairs if other is not None]
    if not both:
        return Shift(len(pairs), 0.0, None, None, None)
    ages = [other.attributes["age"] - one.attributes["age"] for one, other in both]
    genders = [
        other.attributes["gender"]["label"] != one.attributes["gender"]["label"]
        for one, other in both
    ]
    flagged = [len(other.attributes.get("uncertain", ())) == 3 for _, other in both]
    return Shift(
        len(pairs),
        len(both) / len(pairs),
        float(np.mean(ages)),
        float(np.mean(genders)),
        float(np.mean(flagged)),
    )


if __name__ == "__main__":
    main()
