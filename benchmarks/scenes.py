"""Measure how accurate the whole service is for face chips that lie in larger photos.

Chips of a labelled shard are pasted at random places and sizes into scenes of 1280x960 pixels.
`facetag tag` labels the scenes (object storage, queue, worker, Postgres), and its faces are
compared with `facetag evaluate` on the same chips. A missed face counts as wrong; its age counts as
the training set's mean.

A face counts as found if it overlaps the face that `facetag evaluate` reads of the chip: what the
detector finds in the chip alone, carried into the scene. Both sides are then about the same face. A
place that is the same for all chips is wrong where heads are tall, turned, cut off or not in the
middle, as infants' often are: a face that is found in the scene may count as missed. That place is
used where the detector finds no face in the chip alone. The figures by that place for all chips are
printed beside, as `at_usual_place`.

    python -m benchmarks.scenes path/to/test.tar
"""

import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.harness.shard_writer import write_shard
from facetag.heads import GENDER, RACE
from facetag.settings import load_settings
from facetag.vision.mtcnn.boxes import overlaps
from facetag.vision.mtcnn.detector import Detector, largest_face
from facetag.vision.network.attributes import MEAN_AGE
from facetag.vision.network_loader import compile_cascade
from facetag.vision.turned_views import find_faces
from facetag_trainer.data.shards import Sample, read_shards
from facetag_trainer.evaluation.bundle_evaluation import batches, decode_sample

WIDTH, HEIGHT = 1280, 960
SMALLEST, LARGEST = 80, 400
MOST_A_SCENE = 3
FACE_IN_CHIP = (0.0725, 0.0, 0.8875, 0.96)
"""The usual place of the face in an aligned UTKFace chip, in shares of the chip: x1, y1, x2, y2."""
FOUND_IOU = 0.5
GROUNDS = ("coffee", "chelsea", "rocket", "hubble_deep_field", "brick", "grass")
"""Images of scikit-image without a face, used as backgrounds."""
Box = tuple[float, float, float, float]
"""x1, y1, x2, y2."""


@dataclass(frozen=True, slots=True)
class Pasted:
    """Hold a chip in a scene: its sample, its left and upper edge and its side in pixels."""

    sample: Sample
    left: int
    top: int
    side: int

    def carry(self, box: Box) -> Box:
        """Return where a box in shares of the chip lies in the scene, clipped as results are."""
        x1, y1, x2, y2 = (share * self.side for share in box)
        return (
            max(self.left + x1, 0.0),
            max(self.top + y1, 0.0),
            min(self.left + x2, WIDTH),
            min(self.top + y2, HEIGHT),
        )


@click.command(help=__doc__)
@click.argument("shard", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--chips", type=int, default=500, show_default=True, help="Face chips to paste.")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Another seed makes other scenes."
)
@click.option("--output", type=click.Path(path_type=Path), help="Write the figures here as JSON.")
def main(shard: Path, chips: int, seed: int, output: Path | None) -> None:
    """Make the scenes, run both commands, and print the comparison."""
    rng = np.random.default_rng(seed)
    samples = [item for item in read_shards([shard]) if isinstance(item, Sample)]
    picked = [samples[index] for index in rng.permutation(len(samples))[:chips]]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        scenes = dict(write_scenes(picked, root / "scenes", rng))
        faces = _tag(root / "scenes", root / "lines.jsonl")
        reference = _evaluate(picked, root / "chips.tar")
    read = find_in_chips(picked)
    pairs, usual = (
        [pair for name, pasted in scenes.items() for pair in match(pasted, faces[name], boxes)]
        for boxes in (read, {})
    )
    figures = {"chips": len(picked), "scenes": len(scenes), **_measure(pairs)}
    extra = sum(len(faces[name]) for name in scenes) - sum(face is not None for _, face in pairs)
    report = {
        "scenes": {**figures, "faces_without_a_chip": extra},
        "at_usual_place": _measure(usual),
        "evaluate": reference,
    }
    click.echo(json.dumps(report, indent=2))
    if output:
        output.write_text(json.dumps({**report, "seed": seed}, indent=2) + "\n")


def write_scenes(
    samples: Sequence[Sample], folder: Path, rng: np.random.Generator, *, smallest: int = SMALLEST
) -> Iterator[tuple[str, list[Pasted]]]:
    """Paste samples into scenes and write these as JPEG files; yield each name with its chips.

    Chips have sides of at least `smallest` pixels.
    """
    folder.mkdir()
    waiting = list(samples)
    while waiting:
        scene = _ground(rng)
        count = int(rng.integers(1, MOST_A_SCENE + 1))
        taken, waiting = waiting[:count], waiting[count:]
        pasted, left_over = _paste(scene, taken, rng, smallest)
        waiting = left_over + waiting
        name = f"scene-{pasted[0].sample.sha256[:12]}.jpg"
        scene.save(folder / name, quality=92)
        yield name, pasted


def _ground(rng: np.random.Generator) -> Image.Image:
    from skimage import data

    pixels = getattr(data, GROUNDS[rng.integers(len(GROUNDS))])()
    image = Image.fromarray(pixels).convert("RGB")
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def _paste(
    scene: Image.Image, samples: Sequence[Sample], rng: np.random.Generator, smallest: int
) -> tuple[list[Pasted], list[Sample]]:
    """Paste the samples that do not overlap others; return the pasted ones and the rest."""
    pasted: list[Pasted] = []
    places: list[tuple[int, int, int, int]] = []
    left_over = []
    for sample in samples:
        side = int(rng.integers(smallest, LARGEST + 1))
        x, y = int(rng.integers(0, WIDTH - side + 1)), int(rng.integers(0, HEIGHT - side + 1))
        place = (x, y, x + side, y + side)
        if any(_touch(place, other) for other in places):
            left_over.append(sample)
            continue
        places.append(place)
        with Image.open(io.BytesIO(sample.data)) as chip:
            resized = chip.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
        scene.paste(resized, (x, y))
        pasted.append(Pasted(sample, x, y, side))
    return pasted, left_over


def _touch(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _tag(folder: Path, output: Path) -> dict[str, list[dict[str, Any]]]:
    """Run `facetag tag` as a user would; return the faces of each scene."""
    command = [sys.executable, "-m", "facetag_cli.main", "tag", str(folder)]
    subprocess.run([*command, "--format", "jsonl", "--output", str(output)], check=True)
    lines = (json.loads(line) for line in output.read_text().splitlines())
    return {line["image"]: line["faces"] for line in lines}


def _evaluate(samples: Sequence[Sample], path: Path) -> dict[str, Any]:
    write_shard(path, samples)
    command = [sys.executable, "-m", "facetag_cli.main", "evaluate", str(path), "--format", "json"]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    table: dict[str, Any] = json.loads(ran.stdout)
    return table


def find_in_chips(samples: Sequence[Sample]) -> dict[str, Box]:
    """Return by SHA-256 the box that `facetag evaluate` reads of a chip, in shares of the chip.

    Chips in which the detector finds no face are left out.
    """
    settings = load_settings()
    detector = Detector(
        compile_cascade(), min_face=settings.min_face, confidence=settings.face_confidence
    )
    boxes: dict[str, Box] = {}
    for part in batches(samples):
        photos = [decode_sample(sample, settings) for sample in part]
        found = find_faces(detector, photos)
        for sample, photo, faces in zip(part, photos, found, strict=True):
            if (face := largest_face(faces)) is not None:
                height, width = photo.shape[:2]
                boxes[sample.sha256] = face.scaled(1 / width, 1 / height).box
    return boxes


def match(
    pasted: Sequence[Pasted], faces: Sequence[Mapping[str, Any]], boxes: Mapping[str, Box]
) -> list[tuple[Pasted, Mapping[str, Any] | None]]:
    """Pair each chip with the face that overlaps its own most, if the IoU is at least FOUND_IOU.

    `boxes` are those of `find_in_chips`; a chip without one has its face at FACE_IN_CHIP.
    """
    if not faces:
        return [(chip, None) for chip in pasted]
    tagged = np.array([face["box"] for face in faces], np.float32)
    tagged[:, 2:] += tagged[:, :2]
    own = [chip.carry(boxes.get(chip.sample.sha256, FACE_IN_CHIP)) for chip in pasted]
    shared = overlaps(np.array(own, np.float32), tagged)
    return [
        (chip, faces[int(row.argmax())] if row.max() >= FOUND_IOU else None)
        for chip, row in zip(pasted, shared, strict=True)
    ]


def _measure(pairs: Sequence[tuple[Pasted, Mapping[str, Any] | None]]) -> dict[str, float]:
    found = np.array([face is not None for _, face in pairs])
    errors = [
        (MEAN_AGE if face is None else face["age"]) - chip.sample.labels["age"]
        for chip, face in pairs
    ]
    return {
        "found": float(found.mean()),
        "age_rmse": float(np.sqrt(np.mean(np.square(errors)))),
        "gender_accuracy": float(_right(pairs, GENDER.name, GENDER.labels).mean()),
        "race_accuracy": float(_right(pairs, RACE.name, RACE.labels).mean()),
    }


def _right(
    pairs: Sequence[tuple[Pasted, Mapping[str, Any] | None]], head: str, labels: Sequence[str]
) -> npt.NDArray[np.bool_]:
    return np.array(
        [
            face is not None and face[head]["label"] == labels[int(chip.sample.labels[head])]
            for chip, face in pairs
        ]
    )


if __name__ == "__main__":
    main()
