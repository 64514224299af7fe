"""Compute how likely a stated age is in each band, for the ages that a collection holds.

Of ages only a number is stated, so its density is a kernel estimate, from the held-out images of a
few years of age each. How these fine ages are spread within a band differs between collections: a
school's children are not those of the held-out images. So the spread is estimated from the
collection, by expectation maximization. Held-out images count as some faces beforehand (a maximum a
posteriori estimate). The network hardly tells neighbouring ages apart, so that every round also
smooths, within bands, how much oftener than in the held-out images each age occurs.

Source: Silverman, Jones, Wilson and Nychka 1990, "A Smoothed EM Approach to Indirect Estimation
Problems", Journal of the Royal Statistical Society B 52.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from facetag.quantification.expectation_maximization import find_fixed_point
from facetag.quantification.groupings import BAND_OF_FINE, FACTORS, FINE_STARTS
from facetag.quantification.held_out_answers import Codes, Values

BANDWIDTH_YEARS = 2.5
GRID_YEARS = np.arange(0.0, 121.0, 0.5)
SMALLEST_DENSITY = 1e-5
BANDS = len(FACTORS["age"])
LAST_END = 95
"""Years at which the last fine age ends, as far as smoothing goes."""
HELD_OUT_FACES = 5.0
"""Faces of each band that are spread as the held-out ones are, beforehand."""
SMOOTHED_YEARS = 2.0
"""Standard deviation of the kernel that smooths a collection's ages."""


@dataclass(frozen=True, slots=True)
class AgeLikelihoods:
    """Densities of stated ages by fine age, and how fine ages are spread within their band."""

    curves: Values
    """Densities (fine ages, years of the grid)."""
    held_out_shares: Values
    """Shares (fine ages,) of the held-out faces, 1 in sum."""
    shares: Values
    """Shares (fine ages,) of the faces that these likelihoods are for, 1 in sum."""

    @property
    def within(self) -> Values:
        """Return the shares (fine ages,) within the band, 1 in sum for each band."""
        of_band = np.bincount(BAND_OF_FINE, self.shares, BANDS)[BAND_OF_FINE]
        within: Values = self.shares / np.maximum(of_band, np.finfo(float).tiny)
        return within

    @classmethod
    def fit(cls, ages: Values, fine: Codes) -> "AgeLikelihoods":
        """Return the likelihoods from the stated and the fine ages (n,) of held-out faces."""
        counts = np.zeros((len(FINE_STARTS), len(GRID_YEARS)))
        np.add.at(counts, (fine, _places(ages)), 1)
        faces = counts.sum(axis=1)
        curves = np.einsum("gy,fy->fg", _kernel(), counts) / np.maximum(faces, 1)[:, None]
        shares = faces / faces.sum()
        return cls(curves, shares, shares)

    def of(self, ages: Values) -> Values:
        """Return the likelihoods (n, bands) of stated ages (n,)."""
        first = np.searchsorted(BAND_OF_FINE, np.arange(BANDS))
        mixed = np.add.reduceat(self.within[:, None] * self.curves, first).T + SMALLEST_DENSITY
        steps = np.clip(ages, 0, GRID_YEARS[-1]) / GRID_YEARS[1]
        below = np.minimum(steps.astype(np.intp), len(GRID_YEARS) - 2)
        above = (steps - below)[:, None]
        densities: Values = (1 - above) * mixed[below] + above * mixed[below + 1]
        return densities

    def adapt(
        self, ages: Values, weights: Values | None = None, *, smoothed: bool = True
    ) -> "AgeLikelihoods":
        """Return the likelihoods for a collection with these stated ages (n,).

        `weights` (n,) say how often each face counts. Unless `smoothed`, neighbouring ages may
        occur in any numbers, which shows best how they differ from the held-out ones.
        """
        faces = np.bincount(_places(ages), weights, minlength=len(GRID_YEARS))
        seen = np.flatnonzero(faces)
        faces = faces[seen]
        likelihoods = self.curves[:, seen].T + SMALLEST_DENSITY
        beforehand = HELD_OUT_FACES * self.within
        total = faces.sum() + BANDS
        expected = np.maximum(_smooth(self.held_out_shares), np.finfo(float).tiny)

        def renew(fine: Values) -> Values:
            scale = faces / np.einsum("nf,f->n", likelihoods, fine)
            found = fine * np.einsum("n,nf->f", scale, likelihoods)
            of_band = np.bincount(BAND_OF_FINE, found, BANDS)
            within = (found + beforehand) / (of_band + HELD_OUT_FACES)[BAND_OF_FINE]
            shares: Values = within * ((of_band + 1) / total)[BAND_OF_FINE]
            if not smoothed:
                return shares
            smooth = self.held_out_shares * _smooth(shares) / expected
            renewed: Values = smooth / smooth.sum()
            return renewed

        return replace(self, shares=find_fixed_point(renew, self.within / BANDS))


def _smooth(shares: Values) -> Values:
    smooth: Values = np.einsum("fo,o->f", _neighbours(), shares)
    return smooth


@cache
def _neighbours() -> Values:
    """Return the weights (fine ages, fine ages) by which fine ages share in one another."""
    ends = (*FINE_STARTS[1:], LAST_END)
    middles = np.array([(start + end) / 2 for start, end in zip(FINE_STARTS, ends, strict=True)])
    weights = np.exp(-0.5 * ((middles[:, None] - middles) / SMOOTHED_YEARS) ** 2)
    # Not across the ends of bands, whose shares may be any.
    of_one_band: Values = np.where(BAND_OF_FINE[:, None] == BAND_OF_FINE, weights, 0.0)
    return of_one_band


def _places(ages: Values) -> Codes:
    places: Codes = np.rint(np.clip(ages, 0, GRID_YEARS[-1]) / GRID_YEARS[1]).astype(np.intp)
    return places


@cache
def _kernel() -> Values:
    distances = (GRID_YEARS[:, None] - GRID_YEARS[None, :]) / BANDWIDTH_YEARS
    kernel: Values = np.exp(-0.5 * distances**2)
    return kernel
