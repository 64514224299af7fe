"""The range about an apparent age: how far labels lay from predictions on faces not fitted on."""

import numpy as np
import numpy.typing as npt

from vision.age_range import AgeRange

BAND_YEARS = 10
FEWEST = 50
"""Faces in a band of predicted ages, below which its neighbours' spread stands for it."""


def fit_age_range(
    predicted: npt.NDArray[np.float32], labels: npt.NDArray[np.float32], coverage: float = 0.8
) -> AgeRange:
    """Return the central range of the residuals by bands of the predicted age, all arrays (n,).

    A label may be NaN: it is unknown and has no part.
    """
    known = ~np.isnan(labels)
    predicted, labels = predicted[known], labels[known]
    tail = (1 - coverage) / 2
    knots, below, above = [], [], []
    for start in range(0, 120, BAND_YEARS):
        members = (predicted >= start) & (predicted < start + BAND_YEARS)
        if members.sum() < FEWEST:
            continue
        low, high = np.quantile(labels[members] - predicted[members], [tail, 1 - tail])
        knots.append(float(predicted[members].mean()))
        below.append(float(max(0.0, -low)))
        above.append(float(max(0.0, high)))
    if not knots:
        spread = float(np.quantile(np.abs(labels - predicted), coverage)) if len(labels) else 10.0
        return AgeRange(coverage, [33.0], [spread], [spread])
    return AgeRange(coverage, knots, below, above)
