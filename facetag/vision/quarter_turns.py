"""Finds faces in photos that lie on their side or upside down, such as scans without EXIF.

A photo in which nothing is found upright, or nothing sure, is looked at turned by 90, 180 and 270
degrees too, at the cost of three more looks. What is found there is stated in the photo's own
pixels. A photo with a face that is surely upright costs nothing more.
"""

from collections.abc import Sequence

import numpy as np

from facetag.vision.detection import Detection
from facetag.vision.face_pose import is_sure
from facetag.vision.mtcnn.detector import Detector
from facetag.vision.photo import Pixels

QUARTERS = (1, 3, 2)
"""Quarter turns, in the order in which they are tried; photos rarely stand on their head."""


def find_faces(detector: Detector, photos: Sequence[Pixels]) -> list[list[Detection]]:
    """Return each photo's faces, best confidence first, in its own pixels; looks at it turned only
    where none is surely upright.
    """
    found = detector.detect(photos)
    for quarter in QUARTERS:
        unsure = [index for index, faces in enumerate(found) if not any(map(is_sure, faces))]
        if not unsure:
            break
        views = [np.ascontiguousarray(np.rot90(photos[index], quarter)) for index in unsure]
        for index, faces in zip(unsure, detector.detect(views), strict=True):
            if any(map(is_sure, faces)):
                found[index] = [turn_back(face, quarter, photos[index].shape) for face in faces]
    return found


def turn_back(face: Detection, quarter: int, shape: tuple[int, ...]) -> Detection:
    """Return a face that was found on a photo turned counterclockwise, in the photo's own pixels.

    `shape` is the photo's own; `quarter` counts quarter turns.
    """
    height, width = shape[:2]

    def place(x: float, y: float) -> tuple[float, float]:
        return {1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[quarter]

    x1, y1, x2, y2 = face.box
    (left, top), (right, bottom) = place(x1, y1), place(x2, y2)
    eye, other, nose, corner, other_corner = (place(x, y) for x, y in face.landmarks)
    return Detection(
        (min(left, right), min(top, bottom), max(left, right), max(top, bottom)),
        face.confidence,
        (eye, other, nose, corner, other_corner),
        turned=90 * quarter,
    )
