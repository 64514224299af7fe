"""The report counts what each bound loses and leaves."""

import numpy as np
import pytest

from benchmarks.network.confidence import report
from benchmarks.network.face_evidence import Gathered
from facetag.vision.detection import Detection
from facetag.vision.mtcnn.detection_evidence import EVIDENCE
from facetag.vision.mtcnn.face_probability import FaceProbability

POINTS = ((0, 0),) * 5


def boxes(rng, count, logit):
    """Boxes whose evidence is one logit for all, and noise."""
    rows = rng.normal(0, 1, (count, len(EVIDENCE)))
    rows[:, 0] += logit
    return [Detection((0, 0, 1, 1), 1.0, POINTS, evidence=tuple(row)) for row in rows]


@pytest.fixture
def gathered():
    rng = np.random.default_rng(6)
    faces = boxes(rng, 400, 5)
    ages = [1.0, 30.0] * 200
    return Gathered(faces, ages, 3, faces[:50], ages[:50], boxes(rng, 100, 0), ["drawn"] * 100, 10)


def test_the_report_counts_what_a_bound_loses_and_leaves(gathered):
    shifted = FaceProbability((1.0,) + (0.0,) * (len(EVIDENCE) - 1), -5.0)
    lines = report(gathered, shifted)
    assert "400 faces in scenes, 3 more" in lines[0]
    (half,) = [line for line in lines if line.startswith("confidence 0.5:")]
    left, none, in_scenes, on_chips = half.partition(": ")[2].split("; ")
    assert (left, none) == ("0.0%", "0.0%")
    assert float(in_scenes.partition("%")[0]) == pytest.approx(50, abs=8)
    assert "(" in on_chips
