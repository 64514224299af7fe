"""What is known of a detection hardly changes with the photo, and more where looks disagree."""

import numpy as np
import pytest

from facetag.vision.mtcnn.detection_evidence import EVIDENCE, FEATURES, LOOKS, look_again
from facetag.vision.mtcnn.detector import Detector
from facetag.vision.mtcnn.face_probability import FaceProbability, load_face_probability

ALL = FaceProbability((0.0,) * len(EVIDENCE), 0.0)


def evidence_of(detector, photo):
    every = Detector(detector.networks, min_face=0.04, confidence=0, probability=ALL)
    (face,) = every.detect([photo])[0]
    assert face.confidence == 0.5
    return dict(zip(EVIDENCE, face.evidence, strict=True))


def test_a_mirrored_face_is_known_by_the_same_evidence(detector, astronaut):
    one = evidence_of(detector, astronaut)
    other = evidence_of(detector, np.ascontiguousarray(astronaut[:, ::-1]))
    assert one["score"] > 2
    for name in ("box_drift", "landmark_drift", "residual", "narrow"):
        assert one[name] == pytest.approx(other[name], abs=0.05)


def test_looks_that_agree_have_no_drift_and_those_that_do_not_have():
    """Networks that always see the face at the same place, and one that sees it in each crop."""
    boxes = np.array([[100, 100, 148, 148]], np.float32)
    points = np.array([[[110, 115], [135, 115], [124, 125], [113, 135], [133, 135]]], np.float32)
    ones = np.ones(1, np.float32)

    def steady(squares, index):
        sides = squares[:, 2:] - squares[:, :2] + 1
        offsets = (boxes[index] - squares) / np.concatenate([sides, sides], axis=1)
        shares = (points[index] + 1 - squares[:, None, :2]) / sides[:, None]
        landmarks = shares.transpose(0, 2, 1).reshape(-1, 10)
        features = np.repeat(index[:, None], FEATURES, axis=1).astype(np.float32)
        return [offsets.astype(np.float32), np.full(len(squares), 0.9), landmarks, features]

    def fickle(squares, index):
        offsets = np.zeros_like(squares)
        scores = np.linspace(0.1, 0.9, len(squares))
        features = np.tile(np.arange(len(squares))[:, None], (1, FEATURES)).astype(np.float32)
        return [offsets, scores, np.full((len(squares), 10), 0.5), features]

    for judge, drifts in ((steady, False), (fickle, True)):
        (row,) = look_again(boxes, ones, points, judge)
        known = dict(zip(EVIDENCE, row, strict=True))
        assert (known["box_drift"] > 0.03) == drifts
        assert (known["landmark_drift"] > 0.03) == drifts
        assert (known["mean"] - known["lowest"] > 0.5) == drifts
        # The mean of what the looks show.
        assert known[f"feature_{FEATURES - 1}"] == (np.mean(range(len(LOOKS))) if drifts else 0)


def test_the_looks_are_balanced():
    assert np.allclose(LOOKS.sum(axis=0), 0)


def test_probabilities_follow_from_the_weights():
    probability = FaceProbability((1.0,) + (0.0,) * (len(EVIDENCE) - 1), -1.0)
    evidence = np.zeros((3, len(EVIDENCE)), np.float32)
    evidence[:, 0] = (-9, 1, 11)
    assert probability.of(evidence) == pytest.approx([0.00004540, 0.5, 0.9999546], rel=1e-3)


def test_the_fitted_numbers_are_of_this_evidence_and_say_where_they_come_from():
    assert len(load_face_probability().weights) == len(EVIDENCE)
