"""Compute the probability that a detection is a face from what is known of it.

A logistic regression over `detection_evidence`. Its numbers lie beside this file, with
what they were fitted on; `python -m benchmarks.network.confidence --fit` writes them.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facetag.errors import BundleInvalid
from facetag.vision.mtcnn.detection_evidence import EVIDENCE, Evidence

FILE = Path(__file__).with_name("face_probability.json")


@dataclass(frozen=True, slots=True)
class FaceProbability:
    """Hold the weights (len(EVIDENCE),) of the evidence, and the offset."""

    weights: tuple[float, ...]
    offset: float

    def of(self, evidence: Evidence) -> npt.NDArray[np.float32]:
        """Return the probabilities (n,) for evidence (n, len(EVIDENCE))."""
        logits = evidence.astype(np.float64) @ np.array(self.weights) + self.offset
        probabilities: npt.NDArray[np.float32] = (1 / (1 + np.exp(-logits))).astype(np.float32)
        return probabilities


@cache
def load_face_probability(file: Path = FILE) -> FaceProbability:
    """Read the fitted numbers; raises BundleInvalid if they are of other evidence."""
    stated = json.loads(file.read_text())
    if tuple(stated["weights"]) != EVIDENCE:
        raise BundleInvalid(
            f"{file} was fitted on other evidence than this version's: fit it again with "
            "`python -m benchmarks.network.confidence --fit`."
        )
    return FaceProbability(tuple(stated["weights"].values()), float(stated["offset"]))
