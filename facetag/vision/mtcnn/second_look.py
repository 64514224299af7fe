"""Look at each found face again, in other crops, and tell what a face and what a thing differ in.

The output network sees a crop that the cascade chose because it looks like a face. A face stays one
when the crop is shifted, scaled or mirrored a little, and its box and landmarks stay in place; a
wheel or a pancake mostly does not.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from facetag.vision.detection import Detection, as_landmarks
from facetag.vision.face_pose import measure_pose
from facetag.vision.mtcnn.boxes import Boxes, place_landmarks, shift_by_offsets, to_squares

Evidence = npt.NDArray[np.float32]
"""What is known of faces, (n, len(EVIDENCE))."""

EVIDENCE = (
    "score",
    "refine",
    "mean",
    "lowest",
    "mirror",
    "box_drift",
    "landmark_drift",
    "residual",
    "narrow",
)
"""Logits of the output network's score and of the refinement network's; the mean and the lowest
logit of all looks, and the mirrored one's; how far box and landmarks move between looks, in sides;
how far the landmarks lie from a face's places, and how narrow they lie (`face_pose`)."""

LOOKS = np.array(
    [
        (0, 0, 1),
        (0, 0, 1),
        (-0.1, 0, 1),
        (0.1, 0, 1),
        (0, -0.1, 1),
        (0, 0.1, 1),
        (0, 0, 0.85),
        (0, 0, 1.2),
    ],
    np.float32,
)
"""Shifts across and down in sides of the face's square, and factors of its side. The second look is
mirrored."""
MIRRORED = 1
MIRROR_ORDER = (1, 0, 2, 4, 3)
"""The landmarks of a mirrored face: left and right change places."""
MOST_LOGIT = 12.0

Outputs = npt.NDArray[np.float32]
Judge = Callable[[Boxes, npt.NDArray[np.intp], npt.NDArray[np.bool_]], list[Outputs]]


def look_again(
    boxes: Boxes,
    scores: npt.NDArray[np.float32],
    landmarks: npt.NDArray[np.float32],
    judge: Judge,
    refine: Judge,
) -> Evidence:
    """Return what is known of faces (n,) with landmarks (n, 5, 2).

    `judge` gives what the output network says of squares (m, 4), each of the face at an index (m,),
    mirrored or not: offsets (m, 4), probabilities (m,) and landmarks (m, 10). `refine` does the
    same with the refinement network, which knows no landmarks.
    """
    squares = to_squares(boxes)
    sides = squares[:, 2] - squares[:, 0]
    logits, placed, moved = _judge_looks(squares, sides, judge)
    refined = refine(squares, np.arange(len(boxes)), np.zeros(len(boxes), bool))[1]
    poses = [
        measure_pose(Detection(tuple(box), 1.0, as_landmarks(points)))
        for box, points in zip(boxes.tolist(), landmarks, strict=True)
    ]
    columns = {
        "score": logit(scores),
        "refine": logit(refined),
        "mean": logits.mean(axis=1),
        "lowest": logits.min(axis=1),
        "mirror": logits[:, MIRRORED],
        "box_drift": moved.std(axis=1).mean(axis=1) / np.maximum(sides, 1),
        "landmark_drift": placed.std(axis=1).mean(axis=(1, 2)) / np.maximum(sides, 1),
        "residual": [min(pose.residual, 1.0) for pose in poses],
        "narrow": [min(1 / max(pose.spread, 0.1), 10.0) for pose in poses],
    }
    return np.stack([np.asarray(columns[name], np.float32) for name in EVIDENCE], axis=1)


def logit(probabilities: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Return the logits of probabilities, at most MOST_LOGIT from 0."""
    p = np.clip(probabilities.astype(np.float64), 1e-9, 1 - 1e-9)
    values: npt.NDArray[np.float32] = np.clip(np.log(p / (1 - p)), -MOST_LOGIT, MOST_LOGIT)
    return values.astype(np.float32)


def _judge_looks(
    squares: Boxes, sides: npt.NDArray[np.float32], judge: Judge
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return each look's logit (n, looks), landmarks (n, looks, 5, 2) and box (n, looks, 4)."""
    count = len(squares)
    centres = (squares[:, None, :2] + squares[:, None, 2:]) / 2 + LOOKS[:, :2] * sides[
        :, None, None
    ]
    halves = sides[:, None, None] / 2 * LOOKS[:, 2:]
    looks = np.concatenate([centres - halves, centres + halves], axis=2)
    flat = looks.reshape(-1, 4)
    mirrored = np.tile(np.arange(len(LOOKS)) == MIRRORED, count)
    offsets, scores, points = judge(flat, np.repeat(np.arange(count), len(LOOKS)), mirrored)
    offsets, points = offsets.copy(), points.reshape(-1, 2, 5).copy()
    offsets[mirrored] = offsets[mirrored][:, [2, 1, 0, 3]] * np.array([-1, 1, -1, 1], np.float32)
    points[mirrored] = points[mirrored][:, :, MIRROR_ORDER]
    points[mirrored, 0] = 1 - points[mirrored, 0]
    shape = count, len(LOOKS)
    logits = logit(scores).reshape(shape)
    placed = place_landmarks(flat, points.reshape(-1, 10)).reshape(*shape, 5, 2)
    moved = shift_by_offsets(flat, offsets).reshape(*shape, 4)
    return logits, placed, moved
