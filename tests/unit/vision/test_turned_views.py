"""Faces in photos that lie on their side or aslant, found where none is surely upright."""

import numpy as np
import pytest
from PIL import Image

from facetag.vision.crop import UprightCrop
from facetag.vision.detection import Detection, as_landmarks
from facetag.vision.face_pose import is_sure, measure_pose
from facetag.vision.turned_views import ASLANT, find_faces, turned_view


class Counting:
    """A detector that counts the photos that it looks at."""

    def __init__(self, detector):
        self._detector = detector
        self.bands = detector.bands
        self.large_enough = detector.large_enough
        self.seen = 0

    def find_band(self, photos, band, **options):
        self.seen += len(photos)
        return self._detector.find_band(photos, band, **options)


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_what_is_turned_back_lies_where_it_lay_on_the_photo(quarter):
    photo = np.zeros((40, 60, 3), np.uint8)
    photo[10:14, 20:30] = 255
    view = turned_view(photo, 90 * quarter)
    rows, columns = np.nonzero(view.pixels[..., 0])
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    points = as_landmarks(np.array([box[:2]] * 5, float))
    face = view.turn_back(Detection(box, 0.9, points))
    assert face.box == pytest.approx((20, 10, 30, 14))
    assert face.turned == 90 * quarter
    assert any(
        face.landmarks[0] == pytest.approx(corner)
        for corner in [(20, 10), (30, 10), (30, 14), (20, 14)]
    )


@pytest.mark.parametrize("turn", [45, 135, 225, 315])
def test_what_is_seen_aslant_is_reduced_and_lies_where_it_lay_on_the_photo(turn):
    photo = np.zeros((1200, 900, 3), np.uint8)
    photo[180:220, 730:770] = 255
    view = turned_view(photo, turn)
    assert max(view.pixels.shape) <= ASLANT.side + 2
    rows, columns = np.nonzero(view.pixels[..., 0] > 200)
    x, y = columns.mean() + 0.5, rows.mean() + 0.5
    face = view.turn_back(
        Detection((x - 4, y - 8, x + 4, y + 8), 0.9, as_landmarks(np.array([[x, y]] * 5)))
    )
    assert face.turned == turn
    assert face.landmarks[2] == pytest.approx((750, 200), abs=4)
    x1, y1, x2, y2 = face.box
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((750, 200), abs=4)
    assert (y2 - y1) == pytest.approx(2 * (x2 - x1))
    assert x2 - x1 == pytest.approx(8 * 900 * 2**0.5 * 1.1667 / ASLANT.side, rel=0.05)


def test_a_face_is_found_and_cut_upright_in_a_photo_that_lies_aslant(detector, astronaut):
    """Neither an upright look nor one at quarter turns finds this dark face surely."""
    dark = Image.fromarray((0.3 * astronaut).astype(np.uint8))
    aslant = dark.rotate(-40, Image.Resampling.BICUBIC, expand=True)
    ((face,),) = find_faces(detector, [np.asarray(aslant)])
    assert face.turned == 45
    assert is_sure(face)
    assert UprightCrop().square(face).turn == pytest.approx(40, abs=10)


@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_a_face_is_found_and_cut_upright_however_the_photo_lies(detector, astronaut, quarter):
    """A photo that was turned clockwise by a quarter is what `rot90` gives for the other way."""
    counting = Counting(detector)
    turned = np.ascontiguousarray(np.rot90(astronaut, -quarter))
    (faces,) = find_faces(counting, [turned])
    assert faces
    assert faces[0].turned == 90 * quarter
    square = UprightCrop().square(faces[0])
    assert (square.turn - 90 * quarter + 180) % 360 - 180 == pytest.approx(0, abs=10)
    upright = UprightCrop().square(detector.detect([astronaut])[0][0])
    assert square.side == pytest.approx(upright.side, rel=0.1)
    # A photo with a face that is surely upright is looked at once.
    assert counting.seen == {0: 1, 1: 2, 3: 3, 2: 4}[quarter]


@pytest.mark.parametrize(("top", "color"), [(132, (255, 255, 255)), (116, (40, 60, 150))])
def test_a_masked_face_that_no_turn_shows_is_found_by_lower_thresholds(
    detector, astronaut, top, color
):
    masked = astronaut.copy()
    masked[top : top + 60, 150:300] = color
    assert detector.detect([masked]) == [[]]
    ((face,),) = find_faces(detector, [masked])
    assert (face.turned, face.confidence) == (0, pytest.approx(1.0, abs=0.05))
    x1, y1, x2, y2 = detector.detect([astronaut])[0][0].box
    middle = ((face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2)
    assert middle == pytest.approx(((x1 + x2) / 2, (y1 + y2) / 2), abs=20)


def test_landmarks_that_are_no_faces_make_a_detection_unsure(detector, astronaut):
    (face,) = detector.detect([astronaut])[0]
    assert is_sure(face)
    assert measure_pose(face).is_regular
    rng = np.random.default_rng(2)
    size = face.box[3] - face.box[1]
    drawn = as_landmarks(np.array(face.landmarks) + rng.normal(0, 0.15 * size, (5, 2)))
    odd = Detection(face.box, face.confidence, drawn)
    assert not measure_pose(odd).is_regular
    assert measure_pose(odd).beyond_taught
    assert not is_sure(odd)


def test_a_face_that_lies_aslant_by_more_than_landmarks_can_tell_is_beyond_what_was_taught(
    detector, astronaut
):
    (face,) = detector.detect([astronaut])[0]
    x1, y1, x2, y2 = face.box
    centre = complex((x1 + x2) / 2, (y1 + y2) / 2)
    for degrees, beyond in ((40, False), (-60, True), (60, True)):
        points = np.array(face.landmarks) @ [1, 1j]
        moved = (points - centre) * np.exp(1j * np.radians(degrees)) + centre
        slanted = as_landmarks(np.stack([moved.real, moved.imag], axis=1))
        pose = measure_pose(Detection(face.box, 0.99, slanted))
        assert pose.turn == pytest.approx(degrees, abs=10)
        assert pose.beyond_taught is beyond
