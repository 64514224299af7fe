"""Draws estimated shares towards counted ones, as far as their distance may be noise.

Source: Fay and Herriot 1979, "Estimates of Income for Small Places: An Application of James-Stein
Procedures to Census Data", Journal of the American Statistical Association 74. There the errors of
counts have one variance in all groups; here it grows with the standard deviation of a group's
noise, since counts of large groups err more, too. The distances between counts and estimates tell
how large it is. A group whose estimate is noisy next to it, such as a rare crossing, is drawn
further.
"""

import numpy as np
from scipy.optimize import brentq

from facetag.quantification.held_out_answers import Values

SMALLEST_VARIANCE = 1e-12


def draw_towards(counted: Values, estimated: Values, noise: Values) -> Values:
    """Return estimated shares (groups,) drawn towards counted ones, 1 in sum.

    `noise` (groups,) is the variance that chance alone gives the distance between the two.
    """
    noise = np.maximum(noise, SMALLEST_VARIANCE)
    variance = _find_error((estimated - counted) ** 2, noise) * np.sqrt(noise)
    drawn = np.clip(counted + variance / (variance + noise) * (estimated - counted), 0, None)
    shares: Values = drawn / drawn.sum()
    return shares


def _find_error(distances: Values, noise: Values) -> float:
    """Return the variance of the counts' errors per unit of the noise's standard deviation.

    With it, standardised squared distances are 1 in the mean.
    """

    def excess(error: float) -> float:
        return float((distances / (error * np.sqrt(noise) + noise)).mean()) - 1

    if excess(0) <= 0:
        return 0.0
    most = (distances.sum() + 1) / np.sqrt(noise.min())
    return float(brentq(excess, 0, most))
