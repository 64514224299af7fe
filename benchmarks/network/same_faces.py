"""Measure whether our detector finds the faces that `mtcnn` finds, on the working copy too.

Scenes are made of face chips of labelled shards, as `benchmarks.scenes` does. Give training shards.

    python -m benchmarks.network.same_faces path/to/part-1.tar --scenes 500

\b
same faces    compared with `mtcnn` on the same working copy: the share of its faces of confidence
              0.9 or more that we find with IoU >= 0.7; the share of our faces that it does not
              find at all; and of common faces, ages within a year, equal genders and races
working size  compared with `mtcnn` on the whole photo: the share of its faces of confidence 0.9 or
              more, and at least 4% of the photo's long side high, that we find with IoU >= 0.5;
              the same for the smallest ones alone, of 4 to 6%
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from benchmarks.harness.machine import describe_machine
from benchmarks.harness.reference_mtcnn import load_reference
from facetag.heads import GENDER, RACE
from facetag.settings import Settings, load_settings
from facetag.vision.crop import cut_square
from facetag.vision.detection import Detection, as_landmarks
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.labeller import Labeller
from facetag.vision.mtcnn.boxes import Boxes, overlaps
from facetag.vision.mtcnn.detector import STRICT
from facetag.vision.photo import Picture, Pixels

SURE = 0.9
SAME_IOU, FOUND_IOU = 0.7, 0.5
BATCH = 8
WHOLE_SIDE = 2560
"""Long side to which scenes of 1280x960 are enlarged, so that a working copy loses pixels."""
SMALLEST_CHIP = 50
"""Side of the smallest chip in a scene; its face is just below 4% of the long side."""
SMALL = 1.5
"""Faces up to this many times the smallest height that is searched for count as smallest."""


@dataclass
class Tally:
    """Count faces, and compute the shares that are bounded."""

    theirs: int = 0
    found: int = 0
    ours: int = 0
    alone: int = 0
    paired: int = 0
    ages: int = 0
    genders: int = 0
    races: int = 0
    large: int = 0
    large_found: int = 0
    small: int = 0
    small_found: int = 0

    def shares(self) -> dict[str, float]:
        """Return the shares, by name."""
        return {
            "found": self.found / max(1, self.theirs),
            "without_counterpart": self.alone / max(1, self.ours),
            "age_within_1": self.ages / max(1, self.paired),
            "gender_equal": self.genders / max(1, self.paired),
            "race_equal": self.races / max(1, self.paired),
            "found_of_whole_photo": self.large_found / max(1, self.large),
            "found_of_smallest": self.small_found / max(1, self.small),
        }


@click.command(help=__doc__)
@click.argument("shards", nargs=-1, required=True,
                type=click.Path(exists=True, dir_okay=False, path_type=Path))  # fmt: skip
@click.option("--scenes", default=500, show_default=True, help="Number of scenes to make.")
@click.option("--seed", default=5, show_default=True, help="Another seed makes other scenes.")
@click.option("--whole/--no-whole", default=True, help="Also compare with whole photos (slow).")
def main(shards: tuple[Path, ...], scenes: int, seed: int, whole: bool) -> None:
    """Make the scenes, compare, and print the shares as JSON."""
    from benchmarks.scenes import MOST_A_SCENE, write_scenes
    from facetag_trainer.data.shards import Sample, read_shards

    rng = np.random.default_rng(seed)
    samples = [item for item in read_shards(list(shards)) if isinstance(item, Sample)]
    picked = [samples[i] for i in rng.permutation(len(samples))[: scenes * MOST_A_SCENE]]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "scenes"
        made = write_scenes(picked, root, rng, smallest=SMALLEST_CHIP)
        paths = [root / name for (name, _), _ in zip(made, range(scenes), strict=False)]
        tally = compare(paths, load_settings(), whole_side=WHOLE_SIDE if whole else None)
    counts = asdict(tally)
    report = {"machine": describe_machine(), "scenes": len(paths), **counts, **tally.shares()}
    click.echo(json.dumps(report, indent=2))


def compare(paths: Sequence[Path], settings: Settings, *, whole_side: int | None) -> Tally:
    """Compare our faces and labels with those of `mtcnn`, and return the counts.

    With a `whole_side`, also compare with `mtcnn` on whole photos, enlarged to that long side.
    """
    from facetag.labelling.photo_reader import make_decode
    from facetag.vision.labeller import load_labeller

    labeller = load_labeller(settings, CpuSlots.for_one_caller())
    reference, decode = load_reference(), make_decode(settings)
    tally = Tally()
    for start in range(0, len(paths), BATCH):
        pictures = [decode(path.read_bytes()) for path in paths[start : start + BATCH]]
        for path, picture, faces in zip(
            paths[start:], pictures, labeller.label(pictures).faces, strict=False
        ):
            ours = as_corners([face.box for face in faces])
            height, width = picture.copy.shape[:2]
            # A copy's sides are whole pixels, so its two scales differ slightly.
            across, down = picture.width / width, picture.height / height
            theirs = [
                face.scaled(across, down) for face in _detect(reference, picture.copy, settings)
            ]
            answers = _read_attributes(labeller, picture, theirs)
            _count_same(tally, ours, [face.attributes for face in faces], theirs, answers)
            if whole_side is not None:
                _count_whole(tally, path, labeller, reference, settings, whole_side)
    return tally


def as_corners(boxes: Sequence[Sequence[float]]) -> Boxes:
    """Return boxes x, y, width, height as x1, y1, x2, y2, (n, 4)."""
    array = np.array(boxes, np.float32).reshape(-1, 4)
    array[:, 2:] += array[:, :2]
    return array


def _detect(
    reference: Any, photo: Pixels, settings: Settings, *, smallest: float | None = None
) -> list[Detection]:
    """Return what `mtcnn` finds, with boxes that are neither clipped nor rounded."""
    longest = max(photo.shape[:2])
    found = reference.detect_faces(
        photo,
        fit_to_image=False,
        output_type="numpy",
        box_format="xyxy",
        min_face_size=smallest or max(20, settings.min_face * longest),
        threshold_onet=STRICT.output,
    )
    # Columns: photo, box, score, five x, five y.
    return [
        Detection(
            tuple(float(value) for value in row[1:5]),  # type: ignore[arg-type]
            float(row[5]),
            as_landmarks(row[6:16].reshape(2, 5).T),
        )
        for row in found
    ]


def _boxes_of(faces: Sequence[Detection]) -> Boxes:
    return np.array([face.box for face in faces], np.float32).reshape(-1, 4)


def _read_attributes(
    labeller: Labeller, picture: Picture, faces: Sequence[Detection]
) -> list[dict[str, Any]]:
    """Return what the network says of faces that are cut from the whole photo."""
    size = labeller.network.input_size
    whole = picture.at_least(1)
    squares = [labeller.crop_rule.square(face) for face in faces]
    crops = [cut_square(whole, square, size) for square in squares]
    if not crops:
        return []
    outputs = labeller.read(crops)
    return [
        {
            "age": float(outputs["age"][row, 0]),
            "gender": GENDER.labels[int(outputs["gender"][row, 0] >= 0.5)],
            "race": RACE.labels[int(outputs["race"][row].argmax())],
        }
        for row in range(len(crops))
    ]


def _count_same(
    tally: Tally,
    ours: Boxes,
    attributes: Sequence[Any],
    theirs: Sequence[Detection],
    answers: Sequence[dict[str, Any]],
) -> None:
    tally.ours += len(ours)
    sure = np.array([face.confidence >= SURE for face in theirs], bool)
    tally.theirs += int(sure.sum())
    if not len(ours) or not len(theirs):
        tally.alone += len(ours)
        return
    # Ours are clipped to the photo; so are theirs, here.
    shared = overlaps(_boxes_of(theirs).clip(0), ours)
    best = shared.argmax(axis=1)
    same = shared.max(axis=1) >= SAME_IOU
    tally.found += int((sure & same).sum())
    tally.alone += int((shared.max(axis=0) < SAME_IOU).sum())
    for row in np.flatnonzero(sure & same):
        found, answer = attributes[int(best[row])], answers[int(row)]
        tally.paired += 1
        tally.ages += abs(found["age"] - answer["age"]) <= 1
        tally.genders += found["gender"]["label"] == answer["gender"]
        tally.races += found["race"]["label"] == answer["race"]


def _count_whole(
    tally: Tally,
    path: Path,
    labeller: Labeller,
    reference: Any,
    settings: Settings,
    whole_side: int,
) -> None:
    """Count how many faces of the whole or enlarged photo are found on its working copy."""
    with Image.open(path) as image:
        factor = max(1.0, whole_side / max(image.size))
        size = (round(image.width * factor), round(image.height * factor))
        photo = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
    longest = max(size)
    theirs = _detect(reference, photo, settings, smallest=max(20, settings.min_face * longest / 2))
    boxes = _boxes_of(theirs)
    heights = boxes[:, 3] - boxes[:, 1]
    scores = np.array([face.confidence for face in theirs])
    tall = (scores >= SURE) & (heights >= settings.min_face * longest)
    wanted = boxes[tall]
    small = heights[tall] < SMALL * settings.min_face * longest
    found = labeller.detector.detect([photo])[0]
    ours = np.array([face.box for face in found], np.float32).reshape(-1, 4)
    same = overlaps(wanted, ours).max(axis=1, initial=0) >= FOUND_IOU
    tally.large += len(wanted)
    tally.large_found += int(same.sum())
    tally.small += int(small.sum())
    tally.small_found += int((small & same).sum())


if __name__ == "__main__":
    main()
