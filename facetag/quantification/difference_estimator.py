"""Estimate shares for the case that a collection resembles the held-out images.

The mean of the faces' probabilities, less that mean's known error on the held-out images, is hard
to beat where shares are about the held-out ones, and far off elsewhere. The mean of it and of
counted shares depends less on the held-out faces that there happen to be.

The estimate for any shares lies at a distance. If chance explains it, that estimate only adds
noise. If it is much larger, this one is biased. Between, both count (firm shrinkage).

Sources: Bella, Ferri, Hernández-Orallo and Ramírez-Quintana 2010, "Quantification via Probability
Estimators", ICDM; Särndal, Swensson and Wretman 1992, "Model Assisted Survey Sampling" (the
difference estimator, of late known as prediction-powered inference); Gao and Bruce 1997,
"WaveShrink with Firm Shrinkage", Statistica Sinica 7.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import chi2

from facetag.quantification.held_out_answers import Codes, Values

LOWEST, HIGHEST = 2.0, 5.0
"""Squared distances, in units of what chance explains, up to which the estimate for any shares has
no weight, and from which on it has all. Found by cross-fitting: one half of the held-out faces
calibrated, the other half was drawn from."""
RARE, RAREST = 0.05, 0.001
"""How often chance alone may exceed either bound. With few groups a mean of squares varies more, so
that both bounds are larger."""
SMALLEST_VARIANCE = 1e-10
SMALLEST_SHARE = 1e-9
"""The least share of a group without held-out faces: a review may leave a face no other group."""


@dataclass(frozen=True, slots=True)
class DifferenceEstimator:
    """Hold one grouping's shares of the held-out faces, and the probabilities' error there."""

    held_out_shares: Values
    known_error: Values

    @classmethod
    def fit(cls, likelihoods: Values, codes: Codes, times: Values) -> "DifferenceEstimator":
        """Return the estimator from likelihoods (n, groups) and groups (n,) of held-out faces.

        `times` (n,) say how often each of them was drawn to fit the likelihoods.
        """
        shares = np.bincount(codes, times, likelihoods.shape[1]) / times.sum()
        return cls(shares, _mean_probability(likelihoods, shares, times) - shares)

    def estimate(
        self,
        likelihoods: Values,
        counted: Values,
        weights: Values | None = None,
        unknown: float = 1.0,
    ) -> Values:
        """Return shares (groups,) of faces with likelihoods (n, groups) and counted shares.

        `unknown` is the share of faces whose group nobody reviewed: the others have no error.
        """
        mean = _mean_probability(likelihoods, self.held_out_shares, weights)
        shares = np.clip((mean - unknown * self.known_error + counted) / 2, 0, None)
        found: Values = shares / shares.sum()
        return found


def weigh(distance: Values, noise: Values) -> float:
    """Return the weight, 0 to 1, of the estimate for any shares.

    `distance` (groups,) is that between the two estimates, and `noise` (groups,) the variance that
    it would have if the shares were like the held-out ones.
    """
    free = noise > SMALLEST_VARIANCE
    if not free.any():
        return float(np.abs(distance).max() > 0)
    size = float((distance[free] ** 2 / noise[free]).mean())
    lowest, highest = _bounds(max(int(free.sum()) - 1, 1))
    return float(np.clip((size - lowest) / (highest - lowest), 0, 1))


@cache
def _bounds(freedom: int) -> tuple[float, float]:
    """Return both bounds on squared distances with so many degrees of freedom."""
    rare, rarest = chi2.isf([RARE, RAREST], freedom) / freedom
    return max(LOWEST, float(rare)), max(HIGHEST, float(rarest))


def _mean_probability(likelihoods: Values, shares: Values, weights: Values | None = None) -> Values:
    joint = likelihoods * np.maximum(shares, SMALLEST_SHARE)
    scale = np.ones(len(joint)) if weights is None else weights
    mean: Values = np.einsum("n,ng->g", scale / joint.sum(axis=1), joint) / scale.sum()
    return mean
