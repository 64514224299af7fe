"""Compute how likely a stated age is in each band, for the ages that a collection holds.

Of ages only a number is stated, so its density is a kernel estimate, from the held-out images of a
few years of age each. How these fine ages are spread within a band differs between collections: a
school's children are not those of the held-out images. So the spread is estimated from the
collection, by expectation maximization. Held-out images count as some faces beforehand, since the
network hardly tells neighbouring ages apart (a maximum a posteriori estimate: Dempster, Laird and
Rubin 1977, "Maximum Likelihood from Incomplete Data via the EM Algorithm", Journal of the Royal
Statistical Society B 39).
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from facetag.quantification.groupings import BAND_OF_FINE, FACTORS, FINE_STARTS
from facetag.quantification.held_out_answers import Codes, Values

BANDWIDTH_YEARS = 2.5
GRID_YEARS = np.arange(0.0, 121.0, 0.5)
SMALLEST_DENSITY = 1e-5
BANDS = len(FACTORS["age"])
HELD_OUT_FACES = 5.0
"""Faces of each band that are spread as the held-out ones are, beforehand."""
MOST_ROUNDS = 500
TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class AgeLikelihoods:
    """Densities of stated ages by fine age, and how fine ages are spread within their band."""

    curves: Values
    """Densities (fine ages, years of the grid)."""
    within: Values
    """Shares (fine ages,) within the band, 1 in sum for each band."""

    @classmethod
    def fit(cls, ages: Values, fine: Codes) -> "AgeLikelihoods":
        """Return the likelihoods from the stated and the fine ages (n,) of held-out faces."""
        counts = np.zeros((len(FINE_STARTS), len(GRID_YEARS)))
        np.add.at(counts, (fine, _places(ages)), 1)
        faces = counts.sum(axis=1)
        curves = np.einsum("gy,fy->fg", _kernel(), counts) / np.maximum(faces, 1)[:, None]
        of_band = np.bincount(BAND_OF_FINE, faces, minlength=BANDS)
        return cls(curves, faces / np.maximum(of_band, 1)[BAND_OF_FINE])

    def of(self, ages: Values) -> Values:
        """Return the likelihoods (n, bands) of stated ages (n,)."""
        mixed = np.zeros((BANDS, len(GRID_YEARS)))
        np.add.at(mixed, BAND_OF_FINE, self.within[:, None] * self.curves)
        mixed += SMALLEST_DENSITY
        return np.stack([np.interp(ages, GRID_YEARS, curve) for curve in mixed], axis=1)

    def adapt(self, ages: Values, weights: Values | None = None) -> "AgeLikelihoods":
        """Return the likelihoods for a collection with these stated ages (n,).

        `weights` (n,) say how often each face counts.
        """
        faces = np.bincount(_places(ages), weights, minlength=len(GRID_YEARS))
        seen = np.flatnonzero(faces)
        faces = faces[seen]
        likelihoods = self.curves[:, seen].T + SMALLEST_DENSITY
        within, shares = self.within, np.full(BANDS, 1 / BANDS)
        beforehand = HELD_OUT_FACES * self.within
        for _ in range(MOST_ROUNDS):
            fine = within * shares[BAND_OF_FINE]
            scale = faces / np.einsum("nf,f->n", likelihoods, fine)
            of_fine = fine * np.einsum("n,nf->f", scale, likelihoods)
            of_band = np.bincount(BAND_OF_FINE, of_fine, minlength=BANDS)
            within = (of_fine + beforehand) / (of_band + HELD_OUT_FACES)[BAND_OF_FINE]
            renewed = (of_band + 1) / (faces.sum() + BANDS)
            moved = np.abs(renewed - shares).max()
            shares = renewed
            if moved < TOLERANCE:
                break
        return replace(self, within=within)


def _places(ages: Values) -> Codes:
    places: Codes = np.rint(np.clip(ages, 0, GRID_YEARS[-1]) / GRID_YEARS[1]).astype(np.intp)
    return places


@cache
def _kernel() -> Values:
    distances = (GRID_YEARS[:, None] - GRID_YEARS[None, :]) / BANDWIDTH_YEARS
    kernel: Values = np.exp(-0.5 * distances**2)
    return kernel
