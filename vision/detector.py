"""MTCNN over many photos at once: finds the faces, as unclipped boxes in each photo's own pixels.

Photos are reduced to working copies on canvases of a bounded set of shapes, so that one traced
graph serves all and memory stays flat; proposals, refinement and output run in batches across
photos. One photo's emptiness is never another's. The `mtcnn` package is the source of the weights
and, in the tests, the reference.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from vision.boxes import Boxes, shift_by_offsets, suppress, to_squares
from vision.mtcnn_networks import MtcnnNetworks, Scored, load_networks
from vision.picture import Pixels, reduce_to, working_side
from vision.pyramid import (
    CELL,
    STRIDE,
    Canvases,
    Level,
    build_pyramid,
    canvas_shape,
    cells_of,
)

BATCH_PIXELS = 4 * 768 * 576
"""Canvas pixels computed at a time; more are no faster, and hold more memory."""
PATCH_BATCH = 64
"""Patches computed at a time, a power of two; more are no faster, and hold more memory."""
MOST_PROPOSALS = 4000
"""Proposals kept per photo and level, best first: a page of noise must not take all memory."""
PROPOSAL_THRESHOLD, REFINE_THRESHOLD = 0.6, 0.7


@dataclass(frozen=True, slots=True)
class Detection:
    """A face: unclipped box x1, y1, x2, y2 in pixels of the photo, and confidence in 0..1."""

    box: tuple[float, float, float, float]
    confidence: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes (n, 4) on working copies, scores (n,) and each one's place in the batch (n,)."""

    boxes: Boxes
    scores: npt.NDArray[np.float32]
    photos: npt.NDArray[np.int32]

    def take(self, index: npt.NDArray[np.intp]) -> "Candidates":
        """Return those at `index`, in its order."""
        return Candidates(self.boxes[index], self.scores[index], self.photos[index])


@dataclass(slots=True)
class Work:
    """What the networks were given: pyramid levels (photos, height, width), numbers of patches."""

    levels: list[tuple[int, int, int]] = field(default_factory=list)
    refined: int = 0
    judged: int = 0


class Detector:
    """Finds faces whose box is at least `min_face` of the photo's long side (and 20 pixels)."""

    def __init__(self, *, min_face: float, confidence: float) -> None:
        self.min_face = min_face
        self.confidence = confidence
        networks = load_networks()
        self._propose = _compile_proposals(networks)
        self._refine = _compile_patches(networks.refine, 24)
        self._output = _compile_patches(networks.output, 48)

    def warm_up(self) -> None:
        """Trace and run every graph once, those too that a photo without a face does not reach."""
        blank = np.full((480, 640, 3), 127, np.uint8)
        self.detect([blank])
        one = Candidates(
            np.array([[0, 0, 48, 48]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32)
        )
        for network in (self._refine, self._output):
            self._judge(network, Canvases([blank]), one, 1.0)

    def batches(self, photos: Sequence[Pixels]) -> list[list[int]]:
        """Return the places of photos that are looked at together, what costs most first."""
        batches = list(_batches([canvas_shape(photo) for photo in photos]))
        return sorted(batches, key=lambda batch: sum(photos[i].size for i in batch), reverse=True)

    def detect(self, photos: Sequence[Pixels], work: Work | None = None) -> list[list[Detection]]:
        """Return each photo's faces, best confidence first; an empty list where there is none.

        Photos that are larger than a working copy are reduced to one; boxes are in pixels of what
        was given. What the networks are given is added to `work`.
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
        canvases = Canvases(copies)
        faces = self._propose_faces(canvases, work)
        work.refined += len(faces.boxes)
        faces = self._judge(self._refine, canvases, faces, REFINE_THRESHOLD)
        faces = _suppress_by_photo(faces, 0.7)
        squares = Candidates(to_squares(faces.boxes), faces.scores, faces.photos)
        work.judged += len(squares.boxes)
        faces = self._judge(self._output, canvases, squares, self.confidence)
        return _suppress_by_photo(faces, 0.7, over_smaller=True)

    def _propose_faces(self, canvases: Canvases, work: Work) -> Candidates:
        levels = [_NOTHING]
        for level in build_pyramid(canvases.sizes, self.min_face):
            work.levels.append((len(level.photos), *level.canvas))
            index, offsets, scores = self._propose(
                canvases.pixels, canvases.sizes, level.photos, level.sizes, level.canvas
            )
            levels.append(_read_proposals(level, index.numpy(), offsets.numpy(), scores.numpy()))
        merged = _suppress_by_photo(_concatenate(levels), 0.7)
        return Candidates(to_squares(merged.boxes), merged.scores, merged.photos)

    def _judge(
        self,
        network: "tf.types.experimental.PolymorphicFunction",
        canvases: Canvases,
        faces: Candidates,
        threshold: float,
    ) -> Candidates:
        """Score patches anew, move their boxes, keep those above the threshold."""
        kept = [_NOTHING]
        for start in range(0, len(faces.boxes), PATCH_BATCH):
            part = faces.take(np.arange(start, min(start + PATCH_BATCH, len(faces.boxes))))
            count = len(part.boxes)
            missing = _bucket(count) - count
            corners = np.pad(canvases.relative(part.boxes, part.photos), ((0, missing), (0, 0)))
            photos = np.pad(part.photos, (0, missing))
            offsets, scores = network(canvases.pixels, corners, photos)
            moved = shift_by_offsets(part.boxes, offsets.numpy()[:count])
            judged = Candidates(moved, scores.numpy()[:count], part.photos)
            kept.append(judged.take(np.flatnonzero(judged.scores > threshold)))
        return _concatenate(kept)


_NOTHING = Candidates(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))


def largest_face(faces: Sequence[Detection]) -> Detection | None:
    """Return the face with the highest box: the one that a chip is of; None where there is none."""
    return max(faces, key=lambda face: face.box[3] - face.box[1], default=None)


def _on_photo(faces: Candidates, copy: Pixels, photo: Pixels) -> list[Detection]:
    """Return faces that were found on a photo's copy in the photo's own pixels, if they show."""
    (height, width), (copy_height, copy_width) = photo.shape[:2], copy.shape[:2]
    x, y = width / copy_width, height / copy_height
    found = []
    for box, score in zip(faces.boxes, faces.scores, strict=True):
        x1, y1, x2, y2 = (float(value) for value in box * (x, y, x, y))
        if max(x1, 0) < min(x2, width) and max(y1, 0) < min(y2, height):
            found.append(Detection((x1, y1, x2, y2), float(score)))
    return found


def _batches(shapes: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Yield lists of indices whose canvases have one shape, of BATCH_PIXELS at most if several."""
    order = sorted(range(len(shapes)), key=shapes.__getitem__)
    for (height, width), group in groupby(order, key=shapes.__getitem__):
        members = list(group)
        most = max(1, BATCH_PIXELS // (height * width))
        for start in range(0, len(members), most):
            yield members[start : start + most]


def _normalise(pixels: tf.Tensor) -> tf.Tensor:
    return (pixels - 127.5) / 128.0


def _compile_proposals(networks: MtcnnNetworks) -> "tf.types.experimental.PolymorphicFunction":
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3], tf.uint8),
            tf.TensorSpec([None, 2], tf.int32),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None, 2], tf.int32),
            tf.TensorSpec([2], tf.int32),
        ]
    )
    def propose(
        images: tf.Tensor, sizes: tf.Tensor, photos: tf.Tensor, levels: tf.Tensor, canvas: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        def shrink(turn: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            photo, level = turn
            height, width = tf.unstack(sizes[photo])
            pixels = images[photo, :height, :width][None]
            reduced = _normalise(tf.image.resize(pixels, level, method="area")[0])
            below, beside = tf.unstack(canvas - level)
            return tf.pad(reduced, [[0, below], [0, beside], [0, 0]])

        drawn = tf.map_fn(
            shrink, (photos, levels), fn_output_signature=tf.TensorSpec([None, None, 3])
        )
        offsets, scores = networks.propose(drawn)
        # Cells beyond a photo's own level saw the canvas.
        rows, columns = tf.unstack(cells_of(levels), axis=1)
        inside = (
            tf.sequence_mask(rows, tf.shape(scores)[1])[:, :, None]
            & tf.sequence_mask(columns, tf.shape(scores)[2])[:, None, :]
        )
        index = tf.where(inside & (scores > PROPOSAL_THRESHOLD))
        return index, tf.gather_nd(offsets, index), tf.gather_nd(scores, index)

    return propose


def _compile_patches(network: object, side: int) -> "tf.types.experimental.PolymorphicFunction":
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3], tf.uint8),
            tf.TensorSpec([None, 4], tf.float32),
            tf.TensorSpec([None], tf.int32),
        ]
    )
    def judge(images: tf.Tensor, corners: tf.Tensor, photos: tf.Tensor) -> Scored:
        # What lies outside is the grey that normalises to nothing.
        patches = tf.image.crop_and_resize(
            images, corners, photos, (side, side), extrapolation_value=127.5
        )
        return network(tf.ensure_shape(_normalise(patches), [None, side, side, 3]))  # type: ignore[operator]

    return judge


def _read_proposals(
    level: Level, index: npt.NDArray[np.int64], offsets: Boxes, scores: npt.NDArray[np.float32]
) -> Candidates:
    """Turn cells (n, 3) of photo, row, column into boxes on the working copies."""
    corner = index[:, [2, 1]].astype(np.float32) * STRIDE
    cells = np.concatenate([corner + 1, corner + CELL], axis=1)
    boxes = (cells + offsets * (CELL - 1)) / level.scales[index[:, 0], None]
    photos = level.photos[index[:, 0]]
    return _suppress_by_photo(Candidates(boxes.astype(np.float32), scores, photos), 0.5)


def _suppress_by_photo(
    faces: Candidates, threshold: float, *, over_smaller: bool = False
) -> Candidates:
    kept = []
    for photo in np.unique(faces.photos):
        members = np.flatnonzero(faces.photos == photo)
        if len(members) > MOST_PROPOSALS:
            best = np.argpartition(-faces.scores[members], MOST_PROPOSALS)[:MOST_PROPOSALS]
            members = members[np.sort(best)]
        over: Literal["union", "smaller"] = "smaller" if over_smaller else "union"
        kept.append(members[suppress(faces.boxes[members], faces.scores[members], threshold, over)])
    return faces.take(np.concatenate(kept)) if kept else _NOTHING


def _concatenate(parts: Sequence[Candidates]) -> Candidates:
    if not parts:
        return _NOTHING
    return Candidates(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.photos for part in parts]),
    )


def _bucket(count: int) -> int:
    """Return how many patches to compute for `count`: a power of two bounds the shapes."""
    return 1 << max(3, (count - 1).bit_length())
