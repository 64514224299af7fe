"""Boxes of missed faces, which reviewers drew: those of one face, and their part in the image."""

from collections.abc import Iterable
from typing import Any

from facetag.errors import ReviewInvalid

Box = tuple[int, int, int, int]
"""x, y, width and height in pixels."""
SAME_FACE = 0.4
"""Boxes whose intersection is a larger part of their union are of one face."""


def group_by_face(rows: Iterable[Any]) -> list[list[Any]]:
    """Return rows of missed faces by face, so that a face that two people drew is one face.

    Each row has `x`, `y`, `width` and `height`.
    """
    groups: list[list[Any]] = []
    for row in rows:
        same = next((group for group in groups if overlap(group[0], row) > SAME_FACE), None)
        if same is None:
            groups.append([row])
        else:
            same.append(row)
    return groups


def overlap(one: Any, other: Any) -> float:
    """Return the intersection of two boxes over their union, 0 to 1."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    common = max(0, width) * max(0, height)
    whole = one.width * one.height + other.width * other.height - common
    return float(common / whole)


def clip_drawn_box(box: Box, image_width: int, image_height: int) -> Box:
    """Return the part of a box within an image; raises ReviewInvalid if there is none."""
    x, y, width, height = box
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, image_width), min(y + height, image_height)
    if right <= left or bottom <= top:
        raise ReviewInvalid(
            f"The box lies outside the image, which is {image_width} by {image_height} pixels."
        )
    return left, top, right - left, bottom - top
