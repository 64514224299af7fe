"""Measure how well stated probabilities match accuracies: reliability and calibration error.

The expected calibration error follows Guo et al. (2017): the predicted label's probability in 15
equal bins from 0 to 1, and the mean distance of probability and accuracy, weighted by the images in
each bin.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facetag.heads import HEADS_BY_NAME
from facetag.vision.network.calibration import top_probability

BINS = 15
Values = npt.NDArray[np.float32]
Weights = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bin:
    """The images whose predicted label has a probability from `low` to `high`."""

    low: float
    high: float
    n: int
    probability: float
    """Mean over the images."""
    accuracy: float


def chosen_labels(head: str, output: Values) -> npt.NDArray[np.int64]:
    """Return the code (n,) of the predicted label from a head's outputs (n, units)."""
    if HEADS_BY_NAME[head].kind == "binary":
        return (output[:, 0] >= 0.5).astype(np.int64)
    return output.argmax(axis=1)


def calibration_error(head: str, truth: Values, output: Values, weights: Weights) -> Weights:
    """Return the expected calibration error (b,) for each weighting (b, n) of the images."""
    probability, correct = _sureness(head, truth, output)
    members = np.eye(BINS)[_bins_of(probability)]
    gaps = weights @ (members * (correct - probability)[:, None])
    return np.asarray(np.abs(gaps).sum(axis=1) / weights.sum(axis=1))


def reliability(head: str, truth: Values, output: Values) -> list[Bin]:
    """Return the bins that are not empty, from labels (n,) and outputs (n, units) of a head."""
    probability, correct = _sureness(head, truth, output)
    places = _bins_of(probability)
    return [
        Bin(
            place / BINS,
            (place + 1) / BINS,
            int((places == place).sum()),
            float(probability[places == place].mean()),
            float(correct[places == place].mean()),
        )
        for place in np.unique(places).tolist()
    ]


def _sureness(head: str, truth: Values, output: Values) -> tuple[Weights, Weights]:
    correct = chosen_labels(head, output) == truth.astype(np.int64)
    return top_probability(head, output).astype(np.float64), correct.astype(np.float64)


def _bins_of(probability: Weights) -> npt.NDArray[np.int64]:
    return np.minimum((probability * BINS).astype(np.int64), BINS - 1)
