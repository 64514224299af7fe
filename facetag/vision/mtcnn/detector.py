"""Find faces in many photos at once by MTCNN, as unclipped boxes in each photo's own pixels.

Photos are reduced to working copies on canvases of few shapes, so that one compiled network serves
all and memory stays flat. Proposal, refinement and output run in batches across photos; a photo
without faces does not affect the others. The weights are those of the `mtcnn` package, which is
also the reference in the tests.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby

import numpy as np
import numpy.typing as npt

from facetag.vision.detection import Detection, as_landmarks
from facetag.vision.inference.openvino_backend import Compiled
from facetag.vision.mtcnn.boxes import (
    Boxes,
    overlaps,
    place_landmarks,
    shift_by_offsets,
    to_squares,
)
from facetag.vision.mtcnn.candidates import NOTHING, Candidates, concatenate
from facetag.vision.mtcnn.canvases import Canvases, canvas_shape
from facetag.vision.mtcnn.cascade import Cascade
from facetag.vision.mtcnn.detection_evidence import Outputs, look_again
from facetag.vision.mtcnn.face_probability import FaceProbability, load_face_probability
from facetag.vision.mtcnn.pyramid import CELL, SMALLEST_FACE_PX, STRIDE, round_up
from facetag.vision.mtcnn.pyramid_sheets import Sheet
from facetag.vision.mtcnn.views import Band, View, bands_down_to, views_of
from facetag.vision.photo import Pixels, searched_side

BATCH_PIXELS = 4 * 768 * 576
"""Canvas pixels computed at a time; more are no faster and take more memory."""
SHEET_PIXELS = 80_000
"""Pixels of sheets given to the proposal network at a time; more do not fit into caches."""
PATCH_BATCH, PATCH_STEP = 64, 8
"""Patches computed at a time: more are no faster and take more memory. Batches are multiples of the
step, which limits the number of shapes."""
SAME_FACE = 0.4
"""Share of the smaller of two boxes from which what two searches found is taken for one face."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Hold the least score that each network must give to a face."""

    propose: float
    refine: float
    output: float


STRICT = Thresholds(propose=0.6, refine=0.7, output=0.6)
"""MTCNN's own."""
LENIENT = Thresholds(propose=0.5, refine=0.5, output=0.2)
"""For photos in which nothing is found: they find infants whom MTCNN misses."""


@dataclass(slots=True)
class Work:
    """Count what the networks were given: levels (photos, height, width) and numbers of patches."""

    levels: list[tuple[int, int, int]] = field(default_factory=list)
    refined: int = 0
    judged: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """Hold the faces of one view: its own, and those that partly lie on its margin."""

    own: list[Detection]
    edge: list[Detection]


class Detector:
    """Find faces whose box is at least `min_face` of the photo's long side, and 20 pixels."""

    def __init__(
        self,
        networks: Cascade,
        *,
        min_face: float,
        confidence: float,
        probability: FaceProbability | None = None,
    ) -> None:
        self.min_face = min_face
        self.confidence = confidence
        self.networks = networks
        self.probability = probability or load_face_probability()
        self.bands = bands_down_to(min_face)

    def warm_up(self) -> None:
        """Run every graph, including those that only a photo with a face reaches."""
        blank = np.full((480, 640, 3), 127, np.uint8)
        self.detect([blank])
        canvases = Canvases([blank], [SMALLEST_FACE_PX])
        for count in {_bucket(count) for count in range(1, PATCH_BATCH + 1)}:
            some = Candidates(
                np.full((count, 4), (0, 0, 48, 48), np.float32),
                np.ones(count, np.float32),
                np.zeros(count, np.int32),
            )
            self._judge(self.networks.refine, 24, canvases, some, 1.0)
            self._judge(self.networks.output, 48, canvases, some, 1.0)
            self._judge(self.networks.look, 48, canvases, some, 1.0)

    def batches(self, photos: Sequence[Pixels]) -> list[list[int]]:
        """Return the indices of photos that are processed together, the most costly batch first."""
        batches = list(_batches([canvas_shape(photo) for photo in photos]))
        return sorted(batches, key=lambda batch: sum(photos[i].size for i in batch), reverse=True)

    def detect(self, photos: Sequence[Pixels], work: Work | None = None) -> list[list[Detection]]:
        """Return each photo's faces, in its own pixels; an empty list if it has none.

        What the networks are given is added to `work`.
        """
        found: list[list[Detection]] = [[] for _ in photos]
        for band in self.bands:
            more = self.find_band(photos, band, work)
            found = [add_faces(*faces) for faces in zip(found, more, strict=True)]
        return [
            self.large_enough(faces, photo.shape)
            for faces, photo in zip(found, photos, strict=True)
        ]

    def large_enough(self, faces: Sequence[Detection], size: tuple[int, ...]) -> list[Detection]:
        """Return the faces that are as large as asked for, on a photo of this height and width.

        Bands find some faces that are smaller than theirs; the last one's are left as they are.
        """
        if self.min_face <= self.bands[-1].share:
            return list(faces)
        least = self.min_face * searched_side(size[:2])
        return [face for face in faces if _side(face) >= least]

    def find_band(
        self,
        photos: Sequence[Pixels],
        band: Band,
        work: Work | None = None,
        *,
        thresholds: Thresholds = STRICT,
    ) -> list[list[Detection]]:
        """Return each photo's faces of a band of sizes, each view's best confidence first."""
        views = [(index, view) for index, photo in enumerate(photos)
                 for view in views_of(photo, band)]  # fmt: skip
        search = partial(self._search_batch, band=band, work=work or Work(), thresholds=thresholds)
        found = _search(views, [photo.shape for photo in photos], search)
        faces: list[list[Detection]] = [[] for _ in photos]
        for kind in ("own", "edge"):
            for (index, _), seen in zip(views, found, strict=True):
                faces[index] = add_faces(faces[index], getattr(seen, kind))
        return faces

    def _search_batch(
        self, views: Sequence[View], *, band: Band, work: Work, thresholds: Thresholds
    ) -> Candidates:
        """Return the faces of views of one canvas; the groups of n views' edge faces are n more."""
        canvases = Canvases(
            [view.pixels for view in views], [view.smallest for view in views], band.levels
        )
        faces = self._propose_faces(canvases, work, thresholds.propose)
        work.refined += len(faces.boxes)
        faces = self._judge(self.networks.refine, 24, canvases, faces, thresholds.refine)
        faces = faces.without_overlaps(0.7)
        squares = Candidates(to_squares(faces.boxes), faces.scores, faces.groups)
        work.judged += len(squares.boxes)
        faces = self._judge(self.networks.output, 48, canvases, squares, thresholds.output)
        return self._rate(canvases, faces.without_overlaps(0.7, "smaller"))

    def _propose_faces(self, canvases: Canvases, work: Work, threshold: float) -> Candidates:
        proposals = [NOTHING]
        for sheet, drawn in canvases.sheets():
            work.levels += [(len(level.photos), *level.room) for level in sheet.levels]
            at_once = max(1, SHEET_PIXELS // (drawn.shape[1] * drawn.shape[2]))
            starts = range(0, len(drawn), at_once)
            parts = [self.networks.propose(drawn[start : start + at_once]) for start in starts]
            cells = np.concatenate([planes for (planes,) in parts])
            proposals.append(_read_proposals(sheet, cells, threshold))
        merged = concatenate(proposals).without_overlaps(0.7)
        return Candidates(to_squares(merged.boxes), merged.scores, merged.groups)

    def _judge(
        self,
        network: Compiled,
        side: int,
        canvases: Canvases,
        faces: Candidates,
        threshold: float,
    ) -> Candidates:
        """Score patches again, move their boxes, and keep those above the threshold."""
        if not len(faces.boxes):
            return NOTHING
        members = faces.groups % len(canvases)
        offsets, scores, *placed = self._run(network, side, canvases, faces.boxes, members)
        moved = shift_by_offsets(faces.boxes, offsets)
        landmarks = place_landmarks(faces.boxes, placed[0]) if placed else None
        judged = Candidates(moved, scores, faces.groups, landmarks)
        return judged.take(np.flatnonzero(judged.scores > threshold))

    def _rate(self, canvases: Canvases, faces: Candidates) -> Candidates:
        """Look at faces again, and keep those that are likely enough to be faces."""
        if faces.landmarks is None or not len(faces.boxes):
            return NOTHING
        members = faces.groups % len(canvases)

        def judge(boxes: Boxes, index: npt.NDArray[np.intp]) -> list[Outputs]:
            return self._run(self.networks.look, 48, canvases, boxes, members[index])

        evidence = look_again(faces.boxes, faces.scores, faces.landmarks, judge)
        rated = replace(faces, scores=self.probability.of(evidence), evidence=evidence)
        order = np.argsort(-rated.scores, kind="stable")
        return rated.take(order[rated.scores[order] >= self.confidence])

    def _run(
        self,
        network: Compiled,
        side: int,
        canvases: Canvases,
        boxes: Boxes,
        members: npt.NDArray[np.int32],
    ) -> list[Outputs]:
        """Return what a network says of the patches within boxes (n, 4) of copies (n,)."""
        parts = []
        for start in range(0, len(boxes), PATCH_BATCH):
            part = slice(start, start + PATCH_BATCH)
            cut = canvases.cut(boxes[part], members[part], side)
            patches = np.zeros((_bucket(len(cut)), side, side, 3), np.float32)
            patches[: len(cut)] = cut
            parts.append([values[: len(cut)] for values in network(patches)])
        return [np.concatenate(values) for values in zip(*parts, strict=True)]


def largest_face(faces: Sequence[Detection]) -> Detection | None:
    """Return the face with the highest box, which a face chip shows; None without faces."""
    return max(faces, key=lambda face: face.box[3] - face.box[1], default=None)


def _search(
    views: Sequence[tuple[int, View]],
    sizes: Sequence[tuple[int, ...]],
    search_batch: Callable[[Sequence[View]], Candidates],
) -> list[_Found]:
    found = [_Found([], [])] * len(views)
    for members in _batches([canvas_shape(view.pixels) for _, view in views]):
        batch = [views[member] for member in members]
        faces = search_batch([view for _, view in batch])
        for place, (member, (index, view)) in enumerate(zip(members, batch, strict=True)):
            own, edge = (
                _on_photo(faces.take(np.flatnonzero(faces.groups == group)), view, sizes[index])
                for group in (place, place + len(batch))
            )
            found[member] = _Found(own, edge)
    return found


def _on_photo(faces: Candidates, view: View, size: tuple[int, ...]) -> list[Detection]:
    """Return a view's faces in pixels of its photo of this height and width, if they show."""
    if faces.landmarks is None:
        return []
    height, width = size[:2]
    found = []
    evidence = [()] * len(faces.boxes) if faces.evidence is None else faces.evidence.tolist()
    for box, score, points, known in zip(
        faces.boxes, faces.scores, faces.landmarks, evidence, strict=True
    ):
        corner = np.array(view.corner, np.float32)
        x1, y1, x2, y2 = (float(value) for value in box + np.tile(corner, 2))
        if not _is_within(view.core, (x1 + x2) / 2, (y1 + y2) / 2):
            continue
        landmarks = as_landmarks(points + corner)
        face = Detection((x1, y1, x2, y2), float(score), landmarks, evidence=tuple(known))
        face = face.scaled(*view.scale)
        x1, y1, x2, y2 = face.box
        if max(x1, 0) < min(x2, width) and max(y1, 0) < min(y2, height):
            found.append(face)
    return found


def _is_within(core: tuple[float, float, float, float] | None, x: float, y: float) -> bool:
    return core is None or (core[0] <= x < core[2] and core[1] <= y < core[3])


def add_faces(known: list[Detection], others: Sequence[Detection]) -> list[Detection]:
    """Return the known faces and those of the others that are none of them."""
    faces = list(known)
    for face in others:
        boxes = np.array([face.box, *(one.box for one in faces)], np.float32)
        if overlaps(boxes[:1], boxes[1:], "smaller").max(initial=0) <= SAME_FACE:
            faces.append(face)
    return faces


def _batches(shapes: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Yield lists of indices of canvases of one shape, with at most BATCH_PIXELS if several."""
    order = sorted(range(len(shapes)), key=shapes.__getitem__)
    for (height, width), group in groupby(order, key=shapes.__getitem__):
        members = list(group)
        most = max(1, BATCH_PIXELS // (height * width))
        for start in range(0, len(members), most):
            yield members[start : start + most]


def _read_proposals(sheet: Sheet, planes: npt.NDArray[np.float32], threshold: float) -> Candidates:
    """Turn the cells that may show a face into boxes on working copies.

    `planes` (photos, 5, rows, columns) are the cells' offsets and logits.
    """
    logits = planes[:, 4]
    # NumPy searches a flat array ten times as fast as one of three dimensions.
    likely = np.flatnonzero(logits.ravel() > math.log(threshold / (1 - threshold)))
    photos, rows, columns = np.unravel_index(likely, logits.shape)
    located = sheet.locate(photos, np.stack([rows, columns], axis=1))
    photos, rows, columns = (one[located.found] for one in (photos, rows, columns))
    corner = located.cells[:, ::-1].astype(np.float32) * STRIDE
    cells = np.concatenate([corner + 1, corner + CELL], axis=1)
    offsets = planes[photos, :4, rows, columns]
    boxes = (cells + offsets * (CELL - 1)) / located.scales[:, None]
    scores = (1 / (1 + np.exp(-logits[photos, rows, columns]))).astype(np.float32)
    groups = photos + len(planes) * ~located.own
    proposals = Candidates(boxes.astype(np.float32), scores, groups.astype(np.int32))
    return proposals.without_overlaps(0.5, groups=groups * len(sheet.levels) + located.level)


def _side(face: Detection) -> float:
    x1, y1, x2, y2 = face.box
    return max(x2 - x1, y2 - y1)


def _bucket(count: int) -> int:
    """Return how many patches to compute for `count`."""
    return round_up(count, PATCH_STEP)
