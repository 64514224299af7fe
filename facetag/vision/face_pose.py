"""How a face is turned, and whether its landmarks lie as a face's do.

MTCNN was made for faces that are upright or nearly so: on others its landmarks err, its boxes
miss, and what it takes for a face often is none.
"""

from dataclasses import dataclass

from facetag.vision.crop import fit_places
from facetag.vision.detection import Detection

MOST_RESIDUAL = 0.06
"""Distance of eyes and mouth from their places, in sides of the crop, that nine in ten upright
faces stay well below (0.03), and half of those that are found on their side exceed."""
LEAST_SPREAD = 0.75
"""Side of the crop in heights of the box times 0.95: 0.96 to 1.04 for upright faces, and under
0.75 for half of those that are found on their side."""
SURE = 0.95
"""Confidence that 97 of 100 upright faces reach, and none of 150 that lie on their side."""
MOST_TURN = 50.0
"""Degrees beyond which landmarks err by more than 12, twice what the network was taught."""


@dataclass(frozen=True, slots=True)
class Pose:
    """How a face lies in the view that it was found in."""

    turn: float
    """Degrees clockwise."""
    residual: float
    spread: float

    @property
    def is_regular(self) -> bool:
        """Whether the landmarks lie as they do in a face."""
        return self.residual <= MOST_RESIDUAL and self.spread >= LEAST_SPREAD

    @property
    def beyond_taught(self) -> bool:
        """Whether the network was not taught to read faces that lie so."""
        return abs(self.turn) > MOST_TURN or not self.is_regular


def measure_pose(face: Detection) -> Pose:
    """Return how a face lies in the view that it was found in."""
    fit = fit_places(face.landmarks)
    turn = (fit.square.turn - face.turned + 180) % 360 - 180
    height = face.box[2] - face.box[0] if face.turned in (90, 270) else face.box[3] - face.box[1]
    return Pose(turn, fit.residual, fit.square.side / max(0.95 * height, 1e-6))


def is_sure(face: Detection) -> bool:
    """Tell whether a detection is surely a face that lies as it was found."""
    return face.confidence >= SURE and not measure_pose(face).beyond_taught
