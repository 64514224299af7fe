"""Look at each found face again, in other crops, and tell what a face and what a thing differ in.

The output network sees a crop that the cascade chose because it looks like a face. A face stays one
when the crop is shifted a little, and its box and landmarks stay in place; a wheel or a pancake
mostly does not.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from facetag.vision.detection import Detection, as_landmarks
from facetag.vision.face_pose import measure_pose
from facetag.vision.mtcnn.boxes import Boxes, place_landmarks, shift_by_offsets, to_squares

Evidence = npt.NDArray[np.float32]
"""What is known of faces, (n, len(EVIDENCE))."""

FEATURES = 256
"""Units of the output network's last hidden layer."""
MEASURES = (
    "score",
    "mean",
    "lowest",
    "box_drift",
    "landmark_drift",
    "residual",
    "narrow",
)
"""Logit of the output network's score; the mean and the lowest logit of all looks; how far box and
landmarks move between looks, in sides; how far the landmarks lie from a face's places, and how
narrow they lie (`face_pose`)."""
EVIDENCE = (*MEASURES, *(f"feature_{unit}" for unit in range(FEATURES)))
"""The measures, and the mean features of all looks: they know more than the score alone tells."""

LOOKS = np.array([(-0.1, 0), (0.1, 0), (0, -0.1), (0, 0.1)], np.float32)
"""Shifts across and down, in sides of the face's square. They tell as much as eight looks, some
scaled and mirrored."""
MOST_LOGIT = 12.0

Outputs = npt.NDArray[np.float32]
Judge = Callable[[Boxes, npt.NDArray[np.intp]], list[Outputs]]


def look_again(
    boxes: Boxes,
    scores: npt.NDArray[np.float32],
    landmarks: npt.NDArray[np.float32],
    judge: Judge,
) -> Evidence:
    """Return what is known of faces (n,) with landmarks (n, 5, 2).

    `judge` gives what the output network says of squares (m, 4), each of the face at an index (m,):
    offsets (m, 4), probabilities (m,), landmarks (m, 10) and features (m, FEATURES).
    """
    squares = to_squares(boxes)
    sides = squares[:, 2] - squares[:, 0]
    logits, placed, moved, features = _judge_looks(squares, sides, judge)
    poses = [
        measure_pose(Detection(tuple(box), 1.0, as_landmarks(points)))
        for box, points in zip(boxes.tolist(), landmarks, strict=True)
    ]
    columns = {
        "score": logit(scores),
        "mean": logits.mean(axis=1),
        "lowest": logits.min(axis=1),
        "box_drift": moved.std(axis=1).mean(axis=1) / np.maximum(sides, 1),
        "landmark_drift": placed.std(axis=1).mean(axis=(1, 2)) / np.maximum(sides, 1),
        "residual": [min(pose.residual, 1.0) for pose in poses],
        "narrow": [min(1 / max(pose.spread, 0.1), 10.0) for pose in poses],
    }
    measures = [np.asarray(columns[name], np.float32) for name in MEASURES]
    return np.concatenate([np.stack(measures, axis=1), features.mean(axis=1)], axis=1)


def logit(probabilities: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Return the logits of probabilities, at most MOST_LOGIT from 0."""
    p = np.clip(probabilities.astype(np.float64), 1e-9, 1 - 1e-9)
    values: npt.NDArray[np.float32] = np.clip(np.log(p / (1 - p)), -MOST_LOGIT, MOST_LOGIT)
    return values.astype(np.float32)


def _judge_looks(
    squares: Boxes, sides: npt.NDArray[np.float32], judge: Judge
) -> tuple[Outputs, Outputs, Outputs, Outputs]:
    """Return each look's logit (n, looks), landmarks (n, looks, 5, 2), box (n, looks, 4) and
    features (n, looks, FEATURES).
    """
    shape = len(squares), len(LOOKS)
    shifts = LOOKS * sides[:, None, None]
    flat = (squares[:, None] + np.concatenate([shifts, shifts], axis=2)).reshape(-1, 4)
    offsets, scores, points, features = judge(flat, np.repeat(np.arange(len(squares)), len(LOOKS)))
    logits = logit(scores).reshape(shape)
    placed = place_landmarks(flat, points).reshape(*shape, 5, 2)
    moved = shift_by_offsets(flat, offsets).reshape(*shape, 4)
    return logits, placed, moved, features.reshape(*shape, -1)
