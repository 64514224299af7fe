"""Find faces in photos that lie on their side or upside down, such as scans without EXIF.

A photo in which nothing is found upright, or nothing sure, is looked at turned by 90, 180 and 270
degrees too, at the cost of three more looks. What is found there is stated in the photo's own
pixels. A photo with a face that is surely upright costs nothing more.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from facetag.vision.detection import Detection
from facetag.vision.face_pose import is_sure
from facetag.vision.mtcnn.detector import Detector, add_faces
from facetag.vision.mtcnn.views import Band
from facetag.vision.photo import Pixels

QUARTERS = (1, 3, 2)
"""Quarter turns, in the order in which they are tried; photos rarely stand on their head."""


def find_faces(
    detector: Detector, photos: Sequence[Pixels], copies: Sequence[Pixels] | None = None
) -> list[list[Detection]]:
    """Return each photo's faces in its own pixels; look at it turned only where none is surely
    upright.

    `copies` are the photos' working copies, for the first band, where they are made already. A
    finer band keeps to the turn that a coarser one found, so it never takes a face away.
    """
    found: list[list[Detection]] = [[] for _ in photos]
    quarters: list[int | None] = [None] * len(photos)
    for band in detector.bands:
        sources = photos if copies is None or not band.is_first else copies
        more = _find_band(detector, band, sources, quarters)
        for index, (photo, source) in enumerate(zip(photos, sources, strict=True)):
            x, y = photo.shape[1] / source.shape[1], photo.shape[0] / source.shape[0]
            faces = [face.scaled(x, y) for face in more[index]]
            found[index] = add_faces(found[index], faces)
    return [
        detector.large_enough(faces, photo.shape)
        for faces, photo in zip(found, photos, strict=True)
    ]


def _find_band(
    detector: Detector, band: Band, photos: Sequence[Pixels], quarters: list[int | None]
) -> list[list[Detection]]:
    """Return each photo's faces of a band; note in how many quarter turns a sure one was found."""
    found: list[list[Detection]] = [[] for _ in photos]
    for quarter in (0, *QUARTERS):
        asked = [index for index, known in enumerate(quarters) if known in (None, quarter)]
        views = [np.ascontiguousarray(np.rot90(photos[index], quarter)) for index in asked]
        for index, faces in zip(asked, detector.find_band(views, band), strict=True):
            if quarters[index] is None and any(map(is_sure, faces)):
                quarters[index] = quarter
            if quarter in (0, quarters[index]):
                found[index] = [turn_back(face, quarter, photos[index].shape) for face in faces]
    return found


def turn_back(face: Detection, quarter: int, shape: tuple[int, ...]) -> Detection:
    """Return a face that was found on a photo turned counterclockwise, in the photo's own pixels.

    `shape` is the photo's own; `quarter` counts quarter turns.
    """
    if not quarter:
        return face
    height, width = shape[:2]

    def place(x: float, y: float) -> tuple[float, float]:
        return {1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[quarter]

    x1, y1, x2, y2 = face.box
    (left, top), (right, bottom) = place(x1, y1), place(x2, y2)
    eye, other, nose, corner, other_corner = (place(x, y) for x, y in face.landmarks)
    return replace(
        face,
        box=(min(left, right), min(top, bottom), max(left, right), max(top, bottom)),
        landmarks=(eye, other, nose, corner, other_corner),
        turned=90 * quarter,
    )
