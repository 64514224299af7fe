"""Fit the range around an apparent age from errors on faces that were not fitted on."""

import numpy as np
import numpy.typing as npt

from facetag.vision.network.age_range import AgeRange

BAND_YEARS = 10
FEWEST = 50
"""Least number of faces in a band of predicted ages; smaller bands take their neighbours' range."""
FACTORS = np.geomspace(0.05, 20, 2400)
"""Factors by which a range may be widened, in steps of a quarter of a percent."""


def fit_age_range(
    predicted: npt.NDArray[np.float32], labels: npt.NDArray[np.float32], coverage: float = 0.8
) -> AgeRange:
    """Return the central range of the residuals per band of predicted ages; all arrays are (n,).

    Labels that are NaN are ignored.
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


def widen_to_coverage(
    shape: AgeRange, predicted: npt.NDArray[np.float32], labels: npt.NDArray[np.float32]
) -> AgeRange:
    """Return the range widened or narrowed until it covers its stated share of the labels (n,).

    Coverage is counted as results report ranges: in whole years, ends included. The images must
    differ from those that gave the shape, or the coverage on new images falls short (split
    conformal prediction, Lei et al., 2018). Without a known label the shape stays as it is.
    """
    known = ~np.isnan(labels)
    if not known.any():
        return shape
    # Rounded as in the manifest, so that coverage is counted for the ranges that are used.
    ranges = [AgeRange.from_json(shape.widened(factor).to_json()) for factor in FACTORS]
    shares = np.array([one.covers(predicted[known], labels[known]).mean() for one in ranges])
    distance = np.abs(shares - shape.coverage)
    # Whole years make the share a step function: take the middle of the best step.
    best = np.flatnonzero(distance <= distance.min() + 1e-9)
    return ranges[int(best[len(best) // 2])]
