"""Find faces in many photos at once by MTCNN, as unclipped boxes in each photo's own pixels.

Photos are reduced to working copies on canvases of few shapes, so that one compiled network serves
all and memory stays flat. Proposal, refinement and output run in batches across photos; a photo
without faces does not affect the others. The weights are those of the `mtcnn` package, which is
also the reference in the tests.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

import numpy as np
import numpy.typing as npt

from facetag.vision.detection import Detection, as_landmarks
from facetag.vision.inference.openvino_backend import Compiled
from facetag.vision.mtcnn.boxes import (
    Boxes,
    place_landmarks,
    shift_by_offsets,
    suppress,
    to_squares,
)
from facetag.vision.mtcnn.canvases import Canvases, canvas_shape
from facetag.vision.mtcnn.cascade import Cascade
from facetag.vision.mtcnn.pyramid import CELL, STRIDE
from facetag.vision.mtcnn.sheets import Sheet
from facetag.vision.photo import Pixels, reduce_to, working_side

BATCH_PIXELS = 4 * 768 * 576
"""Canvas pixels computed at a time; more are no faster and take more memory."""
SHEET_PIXELS = 80_000
"""Pixels of sheets given to the proposal network at a time; more do not fit into caches."""
PATCH_BATCH = 64
"""Patches computed at a time, a power of two; more are no faster and take more memory."""
MOST_PROPOSALS = 4000
"""Proposals kept per photo and level, best first: a photo of noise must not take all memory."""
FEW_PROPOSALS = 256
"""Proposals of several groups compared at once; with fewer, most time is spent on calls."""
PROPOSAL_THRESHOLD, REFINE_THRESHOLD = 0.6, 0.7


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes (n, 4) on working copies, scores (n,) and each one's place in the batch (n,).

    What the output network has judged has landmarks (n, 5, 2), x and y each; others have none.
    """

    boxes: Boxes
    scores: npt.NDArray[np.float32]
    photos: npt.NDArray[np.int32]
    landmarks: npt.NDArray[np.float32] | None = None

    def take(self, index: npt.NDArray[np.intp]) -> "Candidates":
        """Return those at `index`, in its order."""
        landmarks = None if self.landmarks is None else self.landmarks[index]
        return Candidates(self.boxes[index], self.scores[index], self.photos[index], landmarks)


@dataclass(slots=True)
class Work:
    """Count what the networks were given: levels (photos, height, width) and numbers of patches."""

    levels: list[tuple[int, int, int]] = field(default_factory=list)
    refined: int = 0
    judged: int = 0


class Detector:
    """Find faces whose box is at least `min_face` of the photo's long side, and 20 pixels."""

    def __init__(self, networks: Cascade, *, min_face: float, confidence: float) -> None:
        self.min_face = min_face
        self.confidence = confidence
        self.networks = networks

    def warm_up(self) -> None:
        """Run every graph, including those that only a photo with a face reaches."""
        blank = np.full((480, 640, 3), 127, np.uint8)
        self.detect([blank])
        canvases = Canvases([blank], self.min_face)
        for count in {_bucket(count) for count in range(1, PATCH_BATCH + 1)}:
            some = Candidates(
                np.full((count, 4), (0, 0, 48, 48), np.float32),
                np.ones(count, np.float32),
                np.zeros(count, np.int32),
            )
            self._judge(self.networks.refine, 24, canvases, some, 1.0)
            self._judge(self.networks.output, 48, canvases, some, 1.0)

    def batches(self, photos: Sequence[Pixels]) -> list[list[int]]:
        """Return the indices of photos that are processed together, the most costly batch first."""
        batches = list(_batches([canvas_shape(photo) for photo in photos]))
        return sorted(batches, key=lambda batch: sum(photos[i].size for i in batch), reverse=True)

    def detect(self, photos: Sequence[Pixels], work: Work | None = None) -> list[list[Detection]]:
        """Return each photo's faces, best confidence first; an empty list if it has none.

        Photos larger than a working copy are reduced to one; boxes are in pixels of the given
        photos. What the networks are given is added to `work`.
        """
        work = work or Work()
        found: list[list[Detection]] = [[] for _ in photos]
        copies = [reduce_to(photo, working_side(self.min_face)) for photo in photos]
        for indices in _batches([canvas_shape(copy) for copy in copies]):
            faces = self._detect_batch([copies[index] for index in indices], work)
            for member, index in enumerate(indices):
                ours = faces.take(np.flatnonzero(faces.photos == member))
                found[index] = _on_photo(ours, copies[index], photos[index])
        return found

    def _detect_batch(self, copies: list[Pixels], work: Work) -> Candidates:
        canvases = Canvases(copies, self.min_face)
        faces = self._propose_faces(canvases, work)
        work.refined += len(faces.boxes)
        faces = self._judge(self.networks.refine, 24, canvases, faces, REFINE_THRESHOLD)
        faces = _suppress(faces, 0.7)
        squares = Candidates(to_squares(faces.boxes), faces.scores, faces.photos)
        work.judged += len(squares.boxes)
        faces = self._judge(self.networks.output, 48, canvases, squares, self.confidence)
        return _suppress(faces, 0.7, "smaller")

    def _propose_faces(self, canvases: Canvases, work: Work) -> Candidates:
        proposals = [_NOTHING]
        for sheet, drawn in canvases.sheets():
            work.levels += [(len(level.photos), *level.room) for level in sheet.levels]
            at_once = max(1, SHEET_PIXELS // (drawn.shape[1] * drawn.shape[2]))
            starts = range(0, len(drawn), at_once)
            parts = [self.networks.propose(drawn[start : start + at_once]) for start in starts]
            offsets, scores = map(np.concatenate, zip(*parts, strict=True))
            proposals.append(_read_proposals(sheet, offsets, scores))
        merged = _suppress(_concatenate(proposals), 0.7)
        return Candidates(to_squares(merged.boxes), merged.scores, merged.photos)

    def _judge(
        self,
        network: Compiled,
        side: int,
        canvases: Canvases,
        faces: Candidates,
        threshold: float,
    ) -> Candidates:
        """Score patches again, move their boxes, and keep those above the threshold."""
        kept = [_NOTHING]
        for start in range(0, len(faces.boxes), PATCH_BATCH):
            part = faces.take(np.arange(start, min(start + PATCH_BATCH, len(faces.boxes))))
            count = len(part.boxes)
            patches = np.zeros((_bucket(count), side, side, 3), np.float32)
            patches[:count] = canvases.cut(part.boxes, part.photos, side)
            offsets, scores, *placed = network(patches)
            moved = shift_by_offsets(part.boxes, offsets[:count])
            landmarks = place_landmarks(part.boxes, placed[0][:count]) if placed else None
            judged = Candidates(moved, scores[:count], part.photos, landmarks)
            kept.append(judged.take(np.flatnonzero(judged.scores > threshold)))
        return _concatenate(kept)


_NOTHING = Candidates(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))


def largest_face(faces: Sequence[Detection]) -> Detection | None:
    """Return the face with the highest box, which a face chip shows; None without faces."""
    return max(faces, key=lambda face: face.box[3] - face.box[1], default=None)


def _on_photo(faces: Candidates, copy: Pixels, photo: Pixels) -> list[Detection]:
    """Return faces that were found on a photo's copy in the photo's own pixels, if they show."""
    if faces.landmarks is None:
        return []
    (height, width), (copy_height, copy_width) = photo.shape[:2], copy.shape[:2]
    x, y = width / copy_width, height / copy_height
    found = []
    for box, score, points in zip(faces.boxes, faces.scores, faces.landmarks, strict=True):
        x1, y1, x2, y2 = (float(value) for value in box)
        face = Detection((x1, y1, x2, y2), float(score), as_landmarks(points)).scaled(x, y)
        x1, y1, x2, y2 = face.box
        if max(x1, 0) < min(x2, width) and max(y1, 0) < min(y2, height):
            found.append(face)
    return found


def _batches(shapes: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Yield lists of indices of canvases of one shape, with at most BATCH_PIXELS if several."""
    order = sorted(range(len(shapes)), key=shapes.__getitem__)
    for (height, width), group in groupby(order, key=shapes.__getitem__):
        members = list(group)
        most = max(1, BATCH_PIXELS // (height * width))
        for start in range(0, len(members), most):
            yield members[start : start + most]


def _read_proposals(sheet: Sheet, offsets: Boxes, scores: npt.NDArray[np.float32]) -> Candidates:
    """Turn the cells (photos, rows, columns) that may show a face into boxes on working copies."""
    # NumPy searches a flat array ten times as fast as one of three dimensions.
    likely = np.flatnonzero(scores.ravel() > PROPOSAL_THRESHOLD)
    photos, rows, columns = np.unravel_index(likely, scores.shape)
    located = sheet.locate(photos, np.stack([rows, columns], axis=1))
    likely, photos = likely[located.found], photos[located.found]
    corner = located.cells[:, ::-1].astype(np.float32) * STRIDE
    cells = np.concatenate([corner + 1, corner + CELL], axis=1)
    boxes = (cells + offsets.reshape(-1, 4)[likely] * (CELL - 1)) / located.scales[:, None]
    proposals = Candidates(
        boxes.astype(np.float32), scores.ravel()[likely], photos.astype(np.int32)
    )
    return _suppress(proposals, 0.5, groups=photos * len(sheet.levels) + located.level)


def _suppress(
    faces: Candidates,
    threshold: float,
    over: Literal["union", "smaller"] = "union",
    groups: npt.NDArray[np.signedinteger] | None = None,
) -> Candidates:
    """Drop faces that overlap a better one of the same group (n,), by default of the same photo."""
    groups = faces.photos if groups is None else groups
    kept = [
        part[suppress(faces.boxes[part], faces.scores[part], threshold, over, groups[part])]
        for part in _in_parts(faces.scores, groups)
    ]
    return faces.take(np.concatenate(kept)) if kept else _NOTHING


def _in_parts(
    scores: npt.NDArray[np.float32], groups: npt.NDArray[np.signedinteger]
) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the indices of each group's best, with several small groups in one part."""
    part: list[npt.NDArray[np.intp]] = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        if len(members) > MOST_PROPOSALS:
            best = np.argpartition(-scores[members], MOST_PROPOSALS)[:MOST_PROPOSALS]
            members = members[np.sort(best)]
        if part and sum(map(len, part)) + len(members) > FEW_PROPOSALS:
            yield np.concatenate(part)
            part = []
        part.append(members)
    if part:
        yield np.concatenate(part)


def _concatenate(parts: Sequence[Candidates]) -> Candidates:
    if not parts:
        return _NOTHING
    landmarks = [part.landmarks for part in parts if part.landmarks is not None]
    return Candidates(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.photos for part in parts]),
        np.concatenate(landmarks) if landmarks else None,
    )


def _bucket(count: int) -> int:
    """Return how many patches to compute for `count`: powers of two limit the number of shapes."""
    return 1 << max(3, (count - 1).bit_length())
