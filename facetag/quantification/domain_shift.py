"""Test whether a collection's answers look like the held-out images' under any shares.

Estimated shares assume that only the shares differ from the held-out images. If photos are blurred
or of another kind, the labeller is less sure of every group, which no shares explain. The test
compares how sure it is: the distribution of the top probability in the collection against that of
the held-out faces, weighted to the estimated shares (Kolmogorov-Smirnov distance).

Ages tell of no certainty. But where they are spread within bands far otherwise than the held-out
ones, as in photos of a school, the network's errors near a band's ends decide its share.
"""

from dataclasses import dataclass

import numpy as np

from facetag.quantification.age_likelihoods import AgeLikelihoods
from facetag.quantification.groupings import BAND_OF_FINE, FINE_AGE, Grouping
from facetag.quantification.held_out_answers import Answers, HeldOut, Values

CERTAIN_FACTORS = ("gender", "race")
"""The factors of which answers tell how sure they are."""
LARGEST_DISTANCE = 0.10
"""Distances of more make shares doubtful, if chance does not explain them too."""
CRITICAL = 1.63
"""The Kolmogorov-Smirnov statistic's quantile for a false alarm in 100 tests."""
LARGEST_SPREAD_DISTANCE = 0.25
"""The total variation distance that ages spread like the held-out ones exceeded in one of 540
collections drawn from one half of the held-out faces, calibrated on the other."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A distance between a collection's certainty about a factor and the held-out faces'.

    Of age, it is that between how ages are spread within bands.
    """

    factor: str
    distance: float
    """Kolmogorov-Smirnov or, of age, total variation distance, 0 to 1."""
    critical: float
    """The distance that chance alone exceeds once in 100 collections of this size."""

    @property
    def doubtful(self) -> bool:
        """Tell whether the estimates' assumption fails."""
        return self.distance > max(LARGEST_DISTANCE, self.critical)


def measure_shift(
    factor: str, grouping: Grouping, shares: Values, answers: Answers, held_out: HeldOut
) -> Shift | None:
    """Return how far certainty has shifted for `gender` or `race`; None for what has no certainty.

    `shares` (groups,) are the estimated ones of a grouping, by which held-out faces are weighted: a
    crossing with age, since the labeller is less sure of children. Groups without a held-out face
    have no known certainty: None, too, if no other group has a share.
    """
    observed, known = _certainty(factor, answers), _certainty(factor, held_out.answers)
    if observed is None or known is None:
        return None
    codes = grouping.codes(held_out.codes)
    counts = np.bincount(codes, minlength=len(shares))
    weights = (shares / np.maximum(counts, 1))[codes]
    if weights.sum() == 0:
        return None
    effective = weights.sum() ** 2 / (weights**2).sum()
    distance = _distance(observed, known, weights / weights.sum())
    critical = CRITICAL * np.sqrt(1 / len(observed) + 1 / effective)
    return Shift(factor, float(distance), float(critical))


def measure_spread(shares: Values, answers: Answers, held_out: HeldOut) -> Shift:
    """Return how far ages are spread otherwise within bands; both must state ages.

    `shares` (bands,) are the estimated ones.
    """
    if answers.age is None or held_out.answers.age is None:
        raise ValueError("the answers do not state ages")
    known = AgeLikelihoods.fit(held_out.answers.age, held_out.codes[FINE_AGE])
    moved = np.abs(known.adapt(answers.age, smoothed=False).within - known.within)
    distance = float((moved * shares[BAND_OF_FINE]).sum()) / 2
    return Shift("age", distance, LARGEST_SPREAD_DISTANCE)


def _certainty(factor: str, answers: Answers) -> Values | None:
    if factor == "gender" and answers.female is not None:
        top: Values = np.maximum(answers.female, 1 - answers.female)
        return top
    if factor == "race" and answers.race is not None:
        return np.asarray(answers.race.max(axis=1))
    return None


def _distance(observed: Values, known: Values, weights: Values) -> float:
    grid = np.unique(np.concatenate([observed, known]))
    order = np.argsort(known)
    expected = np.append(0.0, np.cumsum(weights[order]))
    below_known = expected[np.searchsorted(known[order], grid, side="right")]
    below = np.searchsorted(np.sort(observed), grid, side="right") / len(observed)
    return float(np.abs(below - below_known).max())
