"""A face as a detector reports it: where it is, how sure that is, and where its landmarks are."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Point = tuple[float, float]
Landmarks = tuple[Point, Point, Point, Point, Point]
"""The eyes, the nose and the corners of the mouth, each x and y in pixels of the photo; of two of a
kind the one on the left of an upright face comes first."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Detection:
    """A face: its unclipped box x1, y1, x2, y2 in pixels of the photo."""

    box: Box
    confidence: float
    """Probability in 0..1 that it is a face."""
    landmarks: Landmarks
    turned: int = 0
    """About how many degrees clockwise the photo is turned, a multiple of 45."""
    evidence: tuple[float, ...] = ()
    """What the probability was computed from (`facetag.vision.mtcnn.detection_evidence`)."""

    def scaled(self, x: float, y: float) -> "Detection":
        """Return the face as it lies on a photo that is enlarged by these factors."""
        x1, y1, x2, y2 = self.box
        landmarks = as_landmarks(np.array(self.landmarks) * (x, y))
        return replace(self, box=(x1 * x, y1 * y, x2 * x, y2 * y), landmarks=landmarks)


def as_landmarks(points: npt.NDArray[np.floating]) -> Landmarks:
    """Return an array (5, 2) of x and y as a detection's landmarks."""
    eye, other_eye, nose, corner, other_corner = ((float(x), float(y)) for x, y in points)
    return eye, other_eye, nose, corner, other_corner
