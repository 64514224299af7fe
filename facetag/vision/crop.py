"""The crop rule: which square the network sees of a face, in training and in service.

`UprightCrop` levels a face by its landmarks. `BoxCrop` follows from the detector's box alone and is
kept for bundles whose manifest names it. What of a square lies outside the photo repeats the
photo's edge.
"""

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from facetag.vision.detection import Box, Detection, Landmarks

Pixels = npt.NDArray[np.uint8]

LARGEST_SIDE = 2048
"""Sides from twice as many pixels on are cut from a reduced photo, so that padding stays small."""
PLACES = np.array([-0.1882 - 0.1686j, 0.1947 - 0.1660j, -0.1708 + 0.2198j, 0.1764 + 0.2218j])
"""Where eyes and corners of the mouth lie in an upright crop, x + iy in sides from its centre: the
medians over 260 UTKFace chips that `BoxCrop` cuts, so that both rules show faces alike."""
SEEN = (0, 1, 3, 4)
"""The landmarks that a crop is placed by: not the nose, which moves most as a head turns aside."""


@dataclass(frozen=True, slots=True)
class Square:
    """A square of a photo: centre and side, in pixels; it may reach outside.

    `turn` is how far its upper side is turned clockwise from the photo's, in degrees.
    """

    x: float
    y: float
    side: float
    turn: float = 0.0

    def grown(self, factor: float) -> "Square":
        """Return the square about the same centre with its side multiplied by `factor`."""
        return Square(self.x, self.y, self.side * factor, self.turn)

    def scaled(self, scale: float) -> "Square":
        """Return the square as it lies on a photo that is enlarged by a factor."""
        return Square(self.x * scale, self.y * scale, self.side * scale, self.turn)

    def corners(self) -> npt.NDArray[np.float64]:
        """Return x and y of the corners (4, 2), clockwise from the one at the upper left."""
        corners = np.array([-1 - 1j, 1 - 1j, 1 + 1j, -1 + 1j]) * self.side / 2
        return _pairs(corners * _direction(self.turn) + complex(self.x, self.y))

    def locate(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return where points (n, 2) of the photo lie in the square: 0 to 1 where inside it."""
        relative = points[:, 0] - self.x + 1j * (points[:, 1] - self.y)
        return _pairs(relative / _direction(self.turn) / self.side) + 0.5


class CropRule(Protocol):
    """Say which square of a photo a face's crop is."""

    def square(self, face: Detection) -> Square:
        """Return the square for a face in the photo's pixels."""

    def to_json(self) -> dict[str, Any]:
        """Return the rule as a bundle's manifest states it."""


@dataclass(frozen=True, slots=True)
class UprightCrop:
    """Turn, scale and shift so that eyes and mouth come as near as may be to their places."""

    NAME = "upright-square"

    def square(self, face: Detection) -> Square:
        """Return the square for a face in the photo's pixels."""
        return fit_places(face.landmarks).square

    def to_json(self) -> dict[str, Any]:
        """Return the rule as a bundle's manifest states it."""
        return {"name": self.NAME, "padding": "edge"}


@dataclass(frozen=True, slots=True)
class BoxCrop:
    """Side of the square and its centre's shift downwards, in heights of the box."""

    side: float = 0.95
    down: float = 0.03

    NAME = "box-height-square"

    def square(self, face: Detection) -> Square:
        """Return the square for a face in the photo's pixels."""
        return self.around(face.box)

    def around(self, box: Box) -> Square:
        """Return the square for a box x1, y1, x2, y2 in the photo's pixels."""
        x1, y1, x2, y2 = box
        height = y2 - y1
        return Square((x1 + x2) / 2, (y1 + y2) / 2 + self.down * height, self.side * height)

    def to_json(self) -> dict[str, Any]:
        """Return the rule as a bundle's manifest states it."""
        return {"name": self.NAME, "padding": "edge", **asdict(self)}


@dataclass(frozen=True, slots=True)
class PlacesFit:
    """The square in which landmarks lie nearest to their places, and how near that is."""

    square: Square
    residual: float
    """Root of the mean squared distance from the places, in sides of the square."""


def fit_places(landmarks: Landmarks) -> PlacesFit:
    """Fit a square to the eyes and the mouth by the similarity of least squares.

    Over four points (Umeyama 1991, doi:10.1109/34.88573) the eyes' line and the line from eyes to
    mouth weigh by their lengths: neither a head seen from aside nor one seen from above misleads.
    """
    points = np.array([complex(*landmarks[index]) for index in SEEN])
    places = PLACES - PLACES.mean()
    turned = np.vdot(places, points - points.mean()) / np.vdot(places, places).real
    centre = points.mean() - turned * PLACES.mean()
    side, turn = float(abs(turned)), float(np.degrees(np.angle(turned)))
    distances = np.abs(turned * PLACES + centre - points)
    residual = float(np.sqrt(np.mean(distances**2))) / max(side, 1e-6)
    return PlacesFit(Square(float(centre.real), float(centre.imag), side, turn), residual)


def read_crop_rule(fields: dict[str, Any]) -> CropRule:
    """Return the rule that a manifest states; raises ValueError for one of another name."""
    name = fields.get("name")
    if fields.get("padding") == "edge" and name == UprightCrop.NAME:
        return UprightCrop()
    if fields.get("padding") == "edge" and name == BoxCrop.NAME:
        return BoxCrop(side=float(fields["side"]), down=float(fields["down"]))
    raise ValueError(f"unknown crop rule {fields!r}")


def whole_image(photo: Pixels) -> Square:
    """Return the square about a whole photo: what stands in where no face was found."""
    height, width = photo.shape[:2]
    return Square(width / 2, height / 2, float(max(width, height)))


def cut_square(photo: Pixels, square: Square, size: int) -> Pixels:
    """Return the square of a photo (height, width, 3) resampled to (size, size, 3), uint8."""
    if square.turn:
        return _cut_turned(photo, square, size)
    reduction = int(square.side // LARGEST_SIDE)
    if reduction > 1:
        photo = np.asarray(Image.fromarray(photo).reduce(reduction))
        square = square.scaled(1 / reduction)
    (x1, y1), _, (x2, y2), _ = square.corners()
    left, top = int(np.floor(x1)), int(np.floor(y1))
    right, bottom = max(left + 1, int(np.ceil(x2))), max(top + 1, int(np.ceil(y2)))
    part = _take_part(photo, (left, top, right, bottom), 1)
    box = (
        max(0.0, x1 - left),
        max(0.0, y1 - top),
        min(float(part.width), x2 - left),
        min(float(part.height), y2 - top),
    )
    resampled = part.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
    return np.asarray(resampled)


def _cut_turned(photo: Pixels, square: Square, size: int) -> Pixels:
    """Cut a square that is turned, in one affine resampling of the part that it lies in.

    Bilinear resampling looks at four pixels, so the part is reduced first to about as many pixels
    as the crop has.
    """
    factor = max(1, round(square.side / size))
    corners = square.corners()
    # Whole reduced pixels, and one more on each side, which bilinear resampling may look at.
    left, top = ((np.floor(corners.min(axis=0) / factor) - 1) * factor).astype(int).tolist()
    right, bottom = ((np.ceil(corners.max(axis=0) / factor) + 1) * factor).astype(int).tolist()
    part = _take_part(photo, (left, top, right, bottom), factor)
    origin = (corners[0] - (left, top)) / factor
    across = (corners[1] - corners[0]) / factor / size
    down = (corners[3] - corners[0]) / factor / size
    coefficients = (across[0], down[0], origin[0], across[1], down[1], origin[1])
    turned = part.transform(
        (size, size), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
    )
    return np.asarray(turned)


def _take_part(photo: Pixels, bounds: tuple[int, int, int, int], factor: int) -> Image.Image:
    """Return the part of a photo within whole pixels x1, y1, x2, y2, reduced by a whole factor.

    What of it lies outside the photo repeats the photo's edge.
    """
    left, top, right, bottom = bounds
    height, width = photo.shape[:2]
    first_row, last_row = min(max(top, 0), height - 1), max(1, min(bottom, height))
    first_column, last_column = min(max(left, 0), width - 1), max(1, min(right, width))
    cropped = np.ascontiguousarray(photo[first_row:last_row, first_column:last_column])
    part = Image.fromarray(cropped)
    if factor != 1:
        part = part.reduce(factor)
    above, before = max(0, first_row - top) // factor, max(0, first_column - left) // factor
    below = max(0, (bottom - top) // factor - above - part.height)
    after = max(0, (right - left) // factor - before - part.width)
    if above or below or before or after:
        pads = ((above, below), (before, after), (0, 0))
        part = Image.fromarray(np.pad(np.asarray(part), pads, mode="edge"))
    return part


def _direction(degrees: float) -> complex:
    return complex(np.exp(1j * np.radians(degrees)))


def _pairs(points: npt.NDArray[np.complexfloating]) -> npt.NDArray[np.float64]:
    return np.stack([points.real, points.imag], axis=1)
