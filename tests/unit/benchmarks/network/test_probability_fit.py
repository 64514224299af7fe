"""What is fitted tells faces from things, by features only as far as they tell others too."""

import numpy as np
import pytest

from benchmarks.network.face_evidence import Gathered
from benchmarks.network.probability_fit import THINGS, fit
from facetag.vision.detection import Detection
from facetag.vision.mtcnn.detection_evidence import EVIDENCE, MEASURES
from facetag.vision.mtcnn.face_probability import FaceProbability

POINTS = ((0, 0),) * 5


def gathered(*, logit=0.0, feature=0.0):
    """Faces whose first measure and whose first feature are larger by so much, and noise."""
    rng = np.random.default_rng(6)

    def boxes(count, *, of_faces):
        rows = rng.normal(0, 1, (count, len(EVIDENCE)))
        rows[:, 0] += logit * of_faces
        rows[:, len(MEASURES)] += feature * of_faces
        return [Detection((0, 0, 1, 1), 1.0, POINTS, evidence=tuple(row)) for row in rows]

    faces, things = boxes(400, of_faces=True), boxes(100, of_faces=False)
    return Gathered(faces, [30.0] * 400, 0, [], [], things, ["drawn"] * 100, 10)


@pytest.mark.parametrize("told_by", ["logit", "feature"])
def test_the_fit_finds_what_faces_and_things_differ_in(told_by):
    known = gathered(**{told_by: 5})
    numbers = fit(known)
    weights = numbers["weights"]
    assert tuple(weights) == EVIDENCE
    first = EVIDENCE[0] if told_by == "logit" else EVIDENCE[len(MEASURES)]
    assert weights[first] > 3 * max(abs(weights[name]) for name in EVIDENCE if name != first)
    probability = FaceProbability(tuple(weights.values()), numbers["offset"])
    faces, things = (
        probability.of(np.array([one.evidence for one in ones]))
        for ones in (known.faces, known.things)
    )
    # On average as likely as boxes are faces.
    mean = (1 - THINGS) * faces.mean() + THINGS * things.mean()
    assert mean == pytest.approx(1 - THINGS, abs=0.03)


def test_features_that_tell_nothing_are_not_trusted():
    """As many features as these tell apart any few faces and things that they were fitted on."""
    known = gathered()
    numbers = fit(known)
    probability = FaceProbability(tuple(numbers["weights"].values()), numbers["offset"])
    faces = probability.of(np.array([one.evidence for one in known.faces]))
    assert faces.mean() == pytest.approx(1 - THINGS, abs=0.05)
    assert faces.max() < 0.99
