"""Fit the numbers that `facetag.vision.mtcnn.face_probability` computes with.

The many features of a look are first made one number, by a regression of strong penalty. What it
says of a part of the faces and things is fitted on the other parts, so that the regression of the
measures and this number trusts it as far as it holds on what it has not seen. Both are linear, so
one weight for each of the evidence states both.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.network.face_evidence import Gathered
from facetag.vision.mtcnn.detection_evidence import EVIDENCE, MEASURES

THINGS = 36 / 216
"""Share of things among the boxes that the cascade reports in public photos."""
STRENGTH = 10.0
"""Inverse strength of the penalty on the measures' standardised weights, and below on the
features'. Chosen on the shards and photos that are fitted on, each left out in turn."""
FEATURES_STRENGTH = 0.01
PARTS = 3

Floats = npt.NDArray[np.float64]


def fit(gathered: Gathered) -> dict[str, Any]:
    """Return the weights of the evidence and the offset."""
    evidence, is_face = _stack(gathered)
    measures, features = np.split(evidence, [len(MEASURES)], axis=1)
    parts = np.concatenate(
        [np.arange(count) * PARTS // max(1, count) for count in (is_face.sum(), (~is_face).sum())]
    )
    told = np.empty(len(is_face))
    for part in range(PARTS):
        others = parts != part
        weights, offset = _regress(features[others], is_face[others], FEATURES_STRENGTH)
        told[~others] = features[~others] @ weights + offset
    both = np.column_stack([measures, told])
    (*of_measures, of_told), offset = _regress(both, is_face, STRENGTH)
    of_features, features_offset = _regress(features, is_face, FEATURES_STRENGTH)
    every = [*of_measures, *(of_told * of_features)]
    numbers = {name: round(float(one), 5) for name, one in zip(EVIDENCE, every, strict=True)}
    return {"weights": numbers, "offset": round(float(offset + of_told * features_offset), 5)}


def _regress(
    evidence: Floats, is_face: npt.NDArray[np.bool_], strength: float
) -> tuple[Floats, float]:
    """Return the weights and the offset of a logistic regression; things weigh as in photos."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = evidence.mean(axis=0), evidence.std(axis=0) + 1e-6
    weights = np.where(
        is_face, (1 - THINGS) / is_face.sum(), THINGS / max(1, (~is_face).sum())
    ) * len(is_face)
    regression = LogisticRegression(C=strength, max_iter=3000)
    regression.fit((evidence - mean) / spread, is_face, sample_weight=weights)
    raw = regression.coef_[0] / spread
    return raw, float(regression.intercept_[0] - raw @ mean)


def _stack(gathered: Gathered) -> tuple[Floats, npt.NDArray[np.bool_]]:
    everything = [*gathered.faces, *gathered.things]
    evidence = np.array([one.evidence for one in everything], np.float64)
    return evidence, np.arange(len(everything)) < len(gathered.faces)
