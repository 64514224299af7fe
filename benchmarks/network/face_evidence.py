"""Gather what the detector knows of faces and of things that it takes for faces.

Faces are chips of a labelled shard that are levelled into scenes; things are what it reports in
scenes of objects, and beside the chips. The detector is the service's, but reports everything that
its cascade leaves.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from PIL import Image

from benchmarks.network.object_scenes import KINDS, FaceScene, make_scene, paste_faces
from facetag.vision.detection import Detection
from facetag.vision.mtcnn.boxes import overlaps
from facetag.vision.mtcnn.cascade import Cascade
from facetag.vision.mtcnn.detection_evidence import EVIDENCE
from facetag.vision.mtcnn.detector import Detector, largest_face
from facetag.vision.mtcnn.face_probability import FaceProbability
from facetag.vision.photo import FIRST_SHARE, Pixels
from facetag_trainer.data.shards import Sample

BATCH = 8
FOUND_IOU = 0.4
"""What overlaps a chip's face by more is that face."""
BESIDE = 0.05
"""What overlaps no chip by more of its area is no face."""


@dataclass(slots=True)
class Gathered:
    """Faces and things that the cascade reports, and chips that it does not."""

    faces: list[Detection] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    """The labelled ages of the faces."""
    missed: int = 0
    plain: list[Detection] = field(default_factory=list)
    """Faces of the same chips as they are."""
    plain_ages: list[float] = field(default_factory=list)
    things: list[Detection] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    """Where each thing was seen: a kind of scene, or "beside" a face."""
    scenes: int = 0


def gather(
    cascade: Cascade,
    samples: Sequence[Sample],
    sources: tuple[str, ...],
    scenes: int,
    rng: np.random.Generator,
) -> Gathered:
    """Make scenes from these sources, and return all that the cascade reports in them."""
    # The numbers that are to be fitted play no part.
    every = FaceProbability((0.0,) * len(EVIDENCE), 0.0)
    detector = Detector(cascade, min_face=FIRST_SHARE, confidence=0, probability=every)
    gathered = Gathered(scenes=scenes)
    for start in range(0, scenes, BATCH):
        kinds = [KINDS[index % len(KINDS)] for index in range(start, min(start + BATCH, scenes))]
        photos = [np.asarray(make_scene(kind, sources, rng)) for kind in kinds]
        for kind, found in zip(kinds, detector.detect(photos), strict=True):
            gathered.things += found
            gathered.kinds += [kind] * len(found)
    for group in _grouped(paste_faces(samples, sources, rng)):
        found_in = detector.detect([scene.photo for scene in group])
        for scene, found in zip(group, found_in, strict=True):
            _add_scene(gathered, scene, found)
    for start in range(0, len(samples), BATCH):
        part = samples[start : start + BATCH]
        for sample, found in zip(
            part, detector.detect([_pixels(one) for one in part]), strict=True
        ):
            face = largest_face(found)
            if face is not None:
                gathered.plain.append(face)
                gathered.plain_ages.append(float(sample.labels["age"]))
    return gathered


def _pixels(sample: Sample) -> Pixels:
    with Image.open(io.BytesIO(sample.data)) as image:
        return np.asarray(image.convert("RGB"))


def _grouped(scenes: Iterator[FaceScene]) -> Iterator[list[FaceScene]]:
    while group := list(islice(scenes, BATCH)):
        yield group


def _add_scene(gathered: Gathered, scene: FaceScene, found: Sequence[Detection]) -> None:
    if not found:
        gathered.missed += len(scene.samples)
        return
    boxes = np.array([face.box for face in found], np.float32)
    for sample, row in zip(scene.samples, overlaps(scene.boxes, boxes), strict=True):
        if row.max() < FOUND_IOU:
            gathered.missed += 1
            continue
        gathered.faces.append(found[int(row.argmax())])
        gathered.ages.append(float(sample.labels["age"]))
    # A chip may show a part of another person, so what touches it is not called a thing.
    touching = overlaps(scene.places, boxes, "smaller").max(axis=0)
    beside = [one for one, most in zip(found, touching, strict=True) if most < BESIDE]
    gathered.things += beside
    gathered.kinds += ["beside"] * len(beside)
