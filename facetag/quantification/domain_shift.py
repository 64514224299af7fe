"""Test whether a collection's answers look like the held-out images' under any shares.

Estimated shares assume that only the shares differ from the held-out images. If photos are blurred
or of another kind, the labeller is less sure of every group, which no shares explain. The test
compares how sure it is: the distribution of the top probability in the collection against that of
the held-out faces, weighted to the estimated shares (Kolmogorov-Smirnov distance).

Ages tell of no certainty, but their distribution must be explained by the shares of the bands, too.
It is not where ages within a band are others than the held-out images', as in photos of a school.
"""

from dataclasses import dataclass

import numpy as np

from facetag.quantification.groupings import Grouping
from facetag.quantification.held_out_answers import Answers, HeldOut, Values

LARGEST_DISTANCE = 0.10
"""Distances of more make shares doubtful, if chance does not explain them too."""
CRITICAL = 1.63
"""The Kolmogorov-Smirnov statistic's quantile for a false alarm in 100 tests."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A distance between a collection's answers about a factor and the held-out faces'."""

    factor: str
    distance: float
    """Kolmogorov-Smirnov distance, 0 to 1."""
    critical: float
    """The distance that chance alone exceeds once in 100 collections of this size."""

    @property
    def doubtful(self) -> bool:
        """Tell whether the estimates' assumption fails."""
        return self.distance > max(LARGEST_DISTANCE, self.critical)


def measure_shift(
    factor: str, grouping: Grouping, shares: Values, answers: Answers, held_out: HeldOut
) -> Shift:
    """Return how far the certainty of a gender or race has shifted, or an age.

    `shares` (groups,) are the estimated ones of a grouping, by which held-out faces are weighted: a
    crossing with age, since the labeller is less sure of children. Raises ValueError where the
    answers do not state the factor.
    """
    observed, known = _tested(factor, answers), _tested(factor, held_out.answers)
    codes = grouping.codes(held_out.codes)
    counts = np.bincount(codes, minlength=len(shares))
    weights = (shares / np.maximum(counts, 1))[codes]
    effective = weights.sum() ** 2 / (weights**2).sum()
    distance = _distance(observed, known, weights / weights.sum())
    critical = CRITICAL * np.sqrt(1 / len(observed) + 1 / effective)
    return Shift(factor, float(distance), float(critical))


def _tested(factor: str, answers: Answers) -> Values:
    """Return the top probability of a gender or race (n,), or the ages (n,)."""
    if factor == "gender" and answers.female is not None:
        top: Values = np.maximum(answers.female, 1 - answers.female)
        return top
    if factor == "race" and answers.race is not None:
        return np.asarray(answers.race.max(axis=1))
    if factor == "age" and answers.age is not None:
        return answers.age
    raise ValueError(f"the answers do not state {factor}")


def _distance(observed: Values, known: Values, weights: Values) -> float:
    grid = np.unique(np.concatenate([observed, known]))
    order = np.argsort(known)
    expected = np.append(0.0, np.cumsum(weights[order]))
    below_known = expected[np.searchsorted(known[order], grid, side="right")]
    below = np.searchsorted(np.sort(observed), grid, side="right") / len(observed)
    return float(np.abs(below - below_known).max())
