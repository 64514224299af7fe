"""Compute with boxes, which are float arrays (n, 4) of x1, y1, x2, y2."""

from typing import Literal

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float32]

BOXES = 3
"""Rises whenever the detector's boxes of one photo change: crops cut by others are cut anew."""
BLOCK = 512
"""Boxes compared at a time: suppression needs memory for BLOCK x n overlaps instead of n x n."""


def overlaps(a: Boxes, b: Boxes, over: Literal["union", "smaller"] = "union") -> Boxes:
    """Return the overlaps of boxes `a` (n, 4) with boxes `b` (m, 4), as (n, m) in 0..1.

    The intersection is divided by the union's area, or by the smaller box's.
    """
    left, top, right, bottom = a.T[:, :, None]
    others = b.T[:, None, :]
    # Computing all four sides in one array takes four times as long.
    width = np.minimum(right, others[2]) - np.maximum(left, others[0])
    height = np.minimum(bottom, others[3]) - np.maximum(top, others[1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    area_a, area_b = areas(a)[:, None], areas(b)[None, :]
    whole = area_a + area_b - shared if over == "union" else np.minimum(area_a, area_b)
    result: Boxes = shared / np.maximum(whole, 1e-9)
    return result


def areas(boxes: Boxes) -> Boxes:
    """Return the areas (n,) of boxes (n, 4) in square pixels; that of an inverted box is 0."""
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    result: Boxes = sides[:, 0] * sides[:, 1]
    return result


def suppress(
    boxes: Boxes,
    scores: npt.NDArray[np.float32],
    threshold: float,
    over: Literal["union", "smaller"] = "union",
    groups: npt.NDArray[np.signedinteger] | None = None,
) -> npt.NDArray[np.intp]:
    """Return the indices of the boxes to keep, best score first.

    A box is dropped if any box with a better score overlaps it by more than `threshold`, even if
    that other box is dropped too. This is the rule of the `mtcnn` package, and it needs no loop
    over boxes. With `groups` (n,), only boxes of the same group are compared.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = boxes[order]
    places = None if groups is None else groups[order]
    keep = np.ones(len(order), dtype=bool)
    for start in range(0, len(order), BLOCK):
        stop = min(start + BLOCK, len(order))
        overlap = overlaps(ranked[:stop], ranked[start:stop], over)
        better = np.arange(stop)[:, None] < np.arange(start, stop)[None, :]
        if places is not None:
            better &= places[:stop, None] == places[None, start:stop]
        keep[start:stop] = ~np.any((overlap > threshold) & better, axis=0)
    return order[keep]


def to_squares(boxes: Boxes) -> Boxes:
    """Return the squares (n, 4) with the boxes' centres and longer sides."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = np.max(boxes[:, 2:] - boxes[:, :2], axis=1, keepdims=True) / 2
    return np.concatenate([centres - half, centres + half], axis=1).astype(np.float32)


def shift_by_offsets(boxes: Boxes, offsets: Boxes) -> Boxes:
    """Return boxes moved by predicted offsets (n, 4), which are in units of each box's sides."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    return boxes + offsets * np.concatenate([sides, sides], axis=1)


def place_landmarks(boxes: Boxes, landmarks: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return landmarks as (n, 5, 2), x and y in pixels, of what was regressed for boxes (n, 4).

    Regressed are (n, 10), five x and then five y, in units of the box's own sides.
    """
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    shares = landmarks.reshape(-1, 2, 5).transpose(0, 2, 1)
    placed: npt.NDArray[np.float32] = shares * sides[:, None] + boxes[:, None, :2] - 1
    return placed
