"""The detector against the `mtcnn` package, alone and in batches, on what is and is not a photo."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mtcnn import MTCNN
from PIL import Image
from skimage import data

from benchmarks.harness.reference_mtcnn import load_reference
from facetag.vision.detection import Detection
from facetag.vision.image_decoder import decode_image
from facetag.vision.mtcnn.boxes import overlaps
from facetag.vision.mtcnn.detector import Detector, Work, largest_face
from facetag.vision.photo import WORKING_SIDE, reduce_to


def resized(photo, width, height):
    return np.asarray(Image.fromarray(photo).resize((width, height)))


def boxes_of(faces):
    return np.array([face.box for face in faces], np.float32).reshape(-1, 4)


def face_height(face):
    return face.box[3] - face.box[1]


def assert_same_faces(found, expected, tolerance=0.05):
    assert len(found) == len(expected)
    assert np.allclose(boxes_of(found), boxes_of(expected), atol=tolerance)
    for one, other in zip(found, expected, strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=1e-3)


@pytest.fixture(scope="module")
def reference():
    return MTCNN(device="CPU:0")


@pytest.fixture(scope="module")
def photos(astronaut, crowd):
    """Photos of many shapes; two of them share a canvas, though their sides differ."""
    framed = np.pad(astronaut, ((40, 100), (160, 60), (0, 0)))
    return {
        "whole": astronaut,
        "small": resized(astronaut, 150, 150),
        "wide": framed,
        "large": resized(astronaut, 750, 750),
        "a little smaller": resized(astronaut, 735, 730),
        "reduced": resized(astronaut, 1500, 1500),
        "portrait": astronaut[:, 100:400],
        "faceless": data.coffee(),
        "crowd": crowd,
        "chip": astronaut[20:220, 124:324],
    }


@pytest.mark.parametrize(
    "name", ["whole", "small", "wide", "large", "reduced", "portrait", "crowd", "chip"]
)
def test_faces_are_those_of_the_mtcnn_package(detector, reference, photos, name):
    photo = photos[name]
    found = detector.detect([photo])[0]
    expected = reference.detect_faces(
        photo, fit_to_image=False, box_format="xyxy", threshold_onet=detector.confidence
    )
    assert len(found) == len(expected) >= 1
    shared = overlaps(boxes_of(found), np.array([face["box"] for face in expected], np.float32))
    assert (shared.max(axis=1) >= 0.7).all()
    assert (shared.max(axis=0) >= 0.7).all()


@pytest.mark.parametrize("name", ["whole", "wide", "large", "portrait", "crowd", "chip"])
def test_boxes_are_those_of_the_mtcnn_package(detector, photos, name):
    """On a canvas among others: where a box ends hangs on single pixels, and ages on the box."""
    company = [photos["a little smaller"], photos["faceless"]]
    photo = reduce_to(photos[name], WORKING_SIDE)
    found = detector.detect([*company, photo])[-1]
    expected = load_reference().detect_faces(
        photo,
        fit_to_image=False,
        output_type="numpy",
        box_format="xyxy",
        min_face_size=max(20, detector.min_face * max(photo.shape)),
        threshold_onet=detector.confidence,
    )
    assert len(found) == len(expected) >= 1
    shared = overlaps(boxes_of(found), expected[:, 1:5].astype(np.float32))
    assert (shared.max(axis=1) >= 0.98).all()
    for face, other in zip(found, expected[shared.argmax(axis=1)], strict=True):
        # The package's are five x, then five y.
        points = other[6:16].reshape(2, 5).T
        assert np.array(face.landmarks) == pytest.approx(points, abs=0.02 * face_height(face))


def test_a_batch_finds_what_each_photo_shows_alone(detector, photos):
    together = detector.detect(list(photos.values()))
    assert [bool(faces) for faces in together] == [name != "faceless" for name in photos]
    for photo, faces in zip(photos.values(), together, strict=True):
        assert_same_faces(faces, detector.detect([photo])[0])


def test_the_order_of_photos_makes_no_difference(detector, photos):
    forwards = detector.detect(list(photos.values()))
    backwards = detector.detect(list(photos.values())[::-1])[::-1]
    for one, other in zip(forwards, backwards, strict=True):
        assert_same_faces(one, other)


def test_faces_come_with_the_surest_first(detector, crowd):
    faces = detector.detect([crowd])[0]
    assert len(faces) == 2
    assert faces[0].confidence >= faces[1].confidence > detector.confidence


def test_what_lies_outside_the_photo_is_grey_to_the_networks(detector, astronaut):
    """A face at the photo's edge is judged as if the photo went on in grey, not in black."""
    cut = astronaut[78:300, 100:400]
    framed = np.pad(cut, ((60, 0), (0, 0), (0, 0)), constant_values=128)
    (alone,), (inside,) = detector.detect([cut, framed])
    assert alone.confidence == pytest.approx(inside.confidence, abs=0.02)


def test_what_the_networks_were_given_is_counted(detector, astronaut):
    work = Work()
    detector.detect([astronaut, astronaut], work)
    assert all(photos == 2 for photos, _, _ in work.levels)
    assert work.refined >= work.judged >= 2


def test_photos_of_one_canvas_go_together_and_what_costs_most_goes_first(detector):
    shapes = [(300, 400), (562, 750), (310, 400), (750, 562), (550, 750)] + [(600, 600)] * 6
    photos = [np.zeros((*shape, 3), np.uint8) for shape in shapes]
    batches = detector.batches(photos)
    assert sorted(index for batch in batches for index in batch) == list(range(len(photos)))
    assert [0, 2] in batches
    assert [1, 4] in batches
    costs = [sum(photos[index].size for index in batch) for batch in batches]
    assert costs == sorted(costs, reverse=True)
    assert max(map(len, batches)) == 4


def test_no_photos_have_no_faces(detector):
    assert detector.detect([]) == []


@pytest.mark.parametrize("photo", [data.chelsea(), data.coffee()], ids=["cat", "coffee"])
def test_photos_without_people_have_no_faces(detector, photo):
    assert detector.detect([photo]) == [[]]


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 5000), (20_000, 20), (20, 20_000), (11, 11), (64, 64)]
)
def test_odd_shapes_have_no_faces_and_do_no_harm(detector, astronaut, height, width):
    odd = np.full((height, width, 3), 200, np.uint8)
    faces = detector.detect([odd, astronaut])
    assert faces[0] == []
    assert len(faces[1]) == 1


def test_noise_does_no_harm(detector):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (600, 800, 3), np.uint8), np.zeros((300, 300, 3), np.uint8)]
    for photo, faces in zip(noise, detector.detect(noise), strict=True):
        height, width = photo.shape[:2]
        for x1, y1, x2, y2 in (face.box for face in faces):
            assert max(x1, 0) < min(x2, width)
            assert max(y1, 0) < min(y2, height)


def test_boxes_are_not_clipped_at_the_photos_edge(detector, astronaut):
    faces = detector.detect([astronaut[78:300, 100:400]])[0]
    assert len(faces) == 1
    assert faces[0].box[1] < 0


def test_faces_below_the_smallest_asked_for_are_left_out(detector, astronaut):
    # The face takes a fifth of the height of the astronaut's photo.
    networks = detector.networks
    assert len(Detector(networks, min_face=0.1, confidence=0.9).detect([astronaut])[0]) == 1
    assert Detector(networks, min_face=0.5, confidence=0.9).detect([astronaut]) == [[]]


@pytest.fixture(scope="module")
def sizes(astronaut):
    """Faces of 1.6 to 24% of the long side on a photo of 1600x1200 pixels, and one cut by its
    edge."""
    photo = np.full((1200, 1600, 3), 120, np.uint8)
    face = Image.fromarray(astronaut[20:190, 140:310])
    place = 10
    for share in (0.018, 0.03, 0.05, 0.1, 0.24):
        side = round(share * 1600 / 0.68)
        photo[60 : 60 + side, place : place + side] = np.asarray(face.resize((side, side)))
        place += side + 30
    cut = np.asarray(face.resize((300, 300)))[:, 90:]
    photo[800:1100, : cut.shape[1]] = cut
    return photo


BOUNDS = st.floats(0.012, 0.3)


@settings(deadline=None, max_examples=8, derandomize=True)
@given(BOUNDS, BOUNDS)
def test_a_smaller_bound_finds_every_face_that_a_larger_one_finds(detector, sizes, one, other):
    few, many = (
        Detector(detector.networks, min_face=bound, confidence=0.9).detect([sizes])[0]
        for bound in sorted((one, other), reverse=True)
    )
    assert {face.box for face in few} <= {face.box for face in many}


def test_each_face_that_is_large_enough_is_found_once(detector, sizes):
    found = {
        bound: len(Detector(detector.networks, min_face=bound, confidence=0.9).detect([sizes])[0])
        for bound in (0.2, 0.04, 0.02)
    }
    assert found[0.2] == 1
    assert 4 <= found[0.04] < found[0.02] == 6


@pytest.mark.parametrize("share", [0.7, 0.8, 1.0, 1.3, 1.6])
def test_a_face_that_fills_the_frame_or_more_is_found(detector, astronaut, share):
    (face,) = detector.detect([astronaut])[0]
    x1, y1, x2, y2 = face.box
    x, y, half = (x1 + x2) / 2, (y1 + y2) / 2, share * (y2 - y1) / 2
    frame = astronaut[round(y - half) : round(y + half), round(x - half) : round(x + half)]
    for side in (frame.shape[0], 300, 2500):
        (found,) = detector.detect([resized(frame, side, side)])[0]
        assert face_height(found) == pytest.approx(side / share, rel=0.3)


@pytest.mark.parametrize("edge", ["left", "right", "top", "bottom"])
def test_a_face_that_hangs_over_the_edge_is_found_once(detector, astronaut, edge):
    (face,) = detector.detect([astronaut])[0]
    x1, y1, x2, y2 = (round(value) for value in face.box)
    across, down = round(0.4 * (x2 - x1)), round(0.25 * (y2 - y1))
    photo = {
        "left": astronaut[:, x1 + across :],
        "right": astronaut[:, : x2 - across],
        "top": astronaut[y1 + down :],
        "bottom": astronaut[: y2 - down],
    }[edge]
    # Of half a face nobody can be sure.
    unsure = Detector(detector.networks, min_face=0.04, confidence=0.5)
    assert len(unsure.detect([np.ascontiguousarray(photo)])[0]) == 1


@pytest.mark.parametrize("upright", [True, False], ids=["screenshot", "panorama"])
def test_long_photos_are_searched_in_parts(detector, astronaut, upright):
    long_ = np.full((12_000, 1080, 3), 245, np.uint8)
    portrait = resized(astronaut[:300, 80:380], 260, 260)
    tops = [100, 1510, 3000, 4380, 5990, 7700, 9100, 11_700]
    for top in tops:
        long_[top : top + 260, 400:660] = portrait
    if not upright:
        long_ = np.full((1080, 12_000, 3), 245, np.uint8)
        for left in tops:
            long_[400:660, left : left + 260] = portrait
    faces = detector.detect([long_])[0]
    assert len(faces) == 8
    centres = sorted((face.box[upright] + face.box[upright + 2]) / 2 for face in faces)
    assert centres == pytest.approx([top + 120 for top in tops], abs=40)


def test_the_confidence_asked_for_bounds_what_is_found(detector, crowd):
    networks = detector.networks
    confident = Detector(networks, min_face=0.04, confidence=0.9999999).detect([crowd])[0]
    lenient = Detector(networks, min_face=0.04, confidence=0.3).detect([crowd])[0]
    assert len(confident) < 2 <= len(lenient)


def test_the_largest_face_is_the_highest():
    points = ((0, 0),) * 5
    low = Detection((0, 0, 90, 50), 0.99, points)
    high = Detection((0, 0, 40, 60), 0.91, points)
    assert largest_face([low, high]) is high
    assert largest_face([]) is None


def read_chips(count):
    with tarfile.open(Path(os.environ["FACETAG_TEST_DATA"]) / "part-1.tar") as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        step = len(members) // count
        chosen = [archive.extractfile(member).read() for member in members[::step][:count]]
    return [decode_image(chip, formats=("JPEG",), max_pixels=10**6) for chip in chosen]


@pytest.mark.skipif(
    "FACETAG_TEST_DATA" not in os.environ,
    reason="FACETAG_TEST_DATA names no folder with UTKFace's part-1.tar",
)
def test_utkface_chips_have_a_face_of_the_known_height(detector):
    faces = [largest_face(found) for found in detector.detect(read_chips(200))]
    heights = [face.box[3] - face.box[1] for face in faces if face is not None]
    assert len(heights) >= 0.97 * 200
    assert 200 <= np.median(heights) <= 225
