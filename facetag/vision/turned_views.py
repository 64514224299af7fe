"""Find faces in photos that lie on their side, upside down or aslant, such as scans without EXIF.

A photo in which nothing is found upright, or nothing sure, is looked at turned by quarters, and
then aslant, by 45 degrees more, and at last upright again by lower thresholds. What is found there
is stated in the photo's own pixels. A photo with a face that is surely upright costs nothing more;
one without any costs four more looks, and four small ones, which cost as much as two.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from facetag.vision.detection import Detection, as_landmarks
from facetag.vision.face_pose import is_sure
from facetag.vision.mtcnn.detector import LENIENT, Detector, add_faces
from facetag.vision.mtcnn.views import Band
from facetag.vision.photo import FIRST_SHARE, WORKING_SIDE, Pixels, is_long, reduce_by

TURNS = (90, 270, 180, 45, 315, 135, 225)
"""Degrees clockwise that a photo may be turned by, in the order in which they are tried; photos
rarely stand on their head."""
ASLANT = Band(2 * FIRST_SHARE, WORKING_SIDE // 2, None)
"""The faces that are sought aslant: larger ones in smaller copies, at a quarter of the cost."""
GROUND = (118, 118, 118)
"""What surrounds a photo that is looked at aslant."""
SIDEWAYS = (90, 270)


def find_faces(
    detector: Detector, photos: Sequence[Pixels], copies: Sequence[Pixels] | None = None
) -> list[list[Detection]]:
    """Return each photo's faces in its own pixels; look at it turned only where none is surely
    upright.

    `copies` are the photos' working copies, for the first band, where they are made already. A
    finer band keeps to the turn that a coarser one found, so it never takes a face away.
    """
    found: list[list[Detection]] = [[] for _ in photos]
    turns: list[int | None] = [None] * len(photos)
    for band in detector.bands:
        sources = photos if copies is None or not band.is_first else copies
        more = _find_band(detector, band, sources, turns)
        for index, (photo, source) in enumerate(zip(photos, sources, strict=True)):
            x, y = photo.shape[1] / source.shape[1], photo.shape[0] / source.shape[0]
            faces = [face.scaled(x, y) for face in more[index]]
            found[index] = add_faces(found[index], faces)
    return [
        detector.large_enough(faces, photo.shape)
        for faces, photo in zip(found, photos, strict=True)
    ]


def _find_band(
    detector: Detector, band: Band, photos: Sequence[Pixels], turns: list[int | None]
) -> list[list[Detection]]:
    """Return each photo's faces of a band; note by how many degrees it is turned.

    The first band is searched again by lower thresholds where no turn shows a sure face.
    """
    found: list[list[Detection]] = [[] for _ in photos]
    for turn in (0, *TURNS):
        if turn % 90 and not band.is_first:
            continue
        asked = [
            index
            for index, known in enumerate(turns)
            if known in (None, turn) and not (turn % 90 and is_long(photos[index].shape[:2]))
        ]
        views = [turned_view(photos[index], turn) for index in asked]
        seen = detector.find_band([view.pixels for view in views], ASLANT if turn % 90 else band)
        for index, view, faces in zip(asked, views, seen, strict=True):
            if turns[index] is None and any(map(is_sure, faces)):
                turns[index] = turn
            if turn in (0, turns[index]):
                found[index] = [view.turn_back(face) for face in faces]
    if band.is_first:
        unsure = [index for index, known in enumerate(turns) if known is None]
        seen = detector.find_band([photos[index] for index in unsure], band, thresholds=LENIENT)
        for index, faces in zip(unsure, seen, strict=True):
            found[index] = add_faces(found[index], faces)
    return found


@dataclass(frozen=True, slots=True)
class TurnedView:
    """A photo as it looks turned back, counterclockwise by `turn` degrees, and perhaps reduced."""

    pixels: Pixels
    turn: int
    middle: complex
    """Of the photo, in its own pixels."""
    scale: float
    """Pixels of the photo per pixel of the view."""

    def turn_back(self, face: Detection) -> Detection:
        """Return a face that was found in the view in the photo's own pixels.

        A box keeps its sides where the photo lies aslant: it is as large as the face's own, and its
        sides are the photo's.
        """
        if not self.turn:
            return face
        landmarks = self._place(np.array(face.landmarks) @ (1, 1j))
        x1, y1, x2, y2 = face.box
        middle = self._place(np.complex128(complex(x1 + x2, y1 + y2) / 2))
        sides = complex(x2 - x1, y2 - y1) * self.scale / 2
        if self.turn in SIDEWAYS:
            sides = complex(sides.imag, sides.real)
        low, high = middle - sides, middle + sides
        return replace(
            face,
            box=(float(low.real), float(low.imag), float(high.real), float(high.imag)),
            landmarks=as_landmarks(np.stack([landmarks.real, landmarks.imag], axis=1)),
            turned=self.turn,
        )

    def _place(self, points: Any) -> Any:
        """Return where points of the view, x + iy, lie in the photo."""
        height, width = self.pixels.shape[:2]
        turned = np.exp(1j * np.radians(self.turn)) * self.scale
        return self.middle + (points - complex(width, height) / 2) * turned


def turned_view(photo: Pixels, turn: int) -> TurnedView:
    """Return a photo turned back by degrees; aslant on a grey ground, reduced to ASLANT's side."""
    height, width = photo.shape[:2]
    middle = complex(width, height) / 2
    if turn % 90 == 0:
        pixels = np.ascontiguousarray(np.rot90(photo, turn // 90))
        return TurnedView(pixels, turn, middle, 1.0)
    image = Image.fromarray(photo)
    across = (width + height) * math.sqrt(0.5)
    if across > ASLANT.side:
        image = reduce_by(image, ASLANT.side / across)
    view = image.rotate(turn, Image.Resampling.BILINEAR, expand=True, fillcolor=GROUND)
    return TurnedView(np.asarray(view), turn, middle, width / image.width)
