"""Computes 95% intervals of shares by a bootstrap over photos and over the held-out faces.

Faces of one photo are not independent (a family, a team), so whole photos are drawn anew; and what
is known of the labeller's errors comes from a limited number of held-out faces, so these are drawn
anew too (Efron and Tibshirani 1993, "An Introduction to the Bootstrap").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facetag.quantification.expectation_maximization import estimate_shares
from facetag.quantification.groupings import Grouping
from facetag.quantification.held_out import Answers, Codes, HeldOut, Values
from facetag.quantification.likelihoods import Likelihoods, fit_likelihoods

ROUNDS = 200
LEVEL = 0.95
MOST_FACES = 20_000
"""The bootstrap looks at no more faces: by then the held-out faces decide the width."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares (groups,) of one grouping, with the bootstrap's draws (rounds, groups)."""

    grouping: Grouping
    counted: Values
    estimated: Values
    counted_draws: Values
    estimated_draws: Values

    def interval(self, *, counted: bool = False) -> Values:
        """Return the lower and upper ends (2, groups) of the 95% intervals."""
        return ends(self.counted_draws if counted else self.estimated_draws)


def ends(draws: Values) -> Values:
    """Return the central 95% (2, columns) of draws (rounds, columns)."""
    tail = 100 * (1 - LEVEL) / 2
    found: Values = np.percentile(draws, [tail, 100 - tail], axis=0)
    return found


def bootstrap_shares(
    answers: Answers,
    photos: Codes,
    held_out: HeldOut,
    groupings: Sequence[Grouping],
    *,
    rounds: int = ROUNDS,
    seed: int = 1,
) -> list[Shares]:
    """Return counted and estimated shares of each grouping.

    `photos` (n,) numbers the photo that each face is in, from 0. Every round draws the photos and
    the held-out faces anew, with replacement, and fits and estimates again.
    """
    rng = np.random.default_rng(seed)
    fitted = fit_likelihoods(held_out)
    points = {each.name: estimate_shares(fitted.of(each, answers)) for each in groupings}
    sample, of_sample = _sample(answers, photos, rng)
    draws: dict[str, list[Values]] = {each.name: [] for each in groupings}
    counted_draws: dict[str, list[Values]] = {each.name: [] for each in groupings}
    counted = sample.counted_codes()
    for _ in range(rounds):
        weights = _draw_photos(of_sample, rng)
        likelihoods = _draw_likelihoods(held_out, rng)
        for each in groupings:
            drawn = estimate_shares(likelihoods.of(each, sample), weights, start=points[each.name])
            draws[each.name].append(drawn)
            counted_draws[each.name].append(_count(each, counted, weights))
    all_counted = answers.counted_codes()
    return [
        Shares(
            each,
            _count(each, all_counted, np.ones(len(answers))),
            points[each.name],
            np.array(counted_draws[each.name]),
            np.array(draws[each.name]),
        )
        for each in groupings
    ]


def _sample(answers: Answers, photos: Codes, rng: np.random.Generator) -> tuple[Answers, Codes]:
    if len(answers) <= MOST_FACES:
        return answers, photos
    order = rng.permutation(photos.max() + 1)
    # Whole photos in a random order, until there are faces enough.
    ranked = np.argsort(order[photos], kind="stable")[:MOST_FACES]
    _, renumbered = np.unique(photos[ranked], return_inverse=True)
    return answers.take(ranked), renumbered


def _draw_photos(photos: Codes, rng: np.random.Generator) -> Values:
    count = int(photos.max()) + 1
    times = np.bincount(rng.integers(0, count, count), minlength=count)
    weights: Values = times[photos].astype(np.float64)
    return weights


def _draw_likelihoods(held_out: HeldOut, rng: np.random.Generator) -> Likelihoods:
    return fit_likelihoods(held_out.take(rng.integers(0, len(held_out), len(held_out))))


def _count(grouping: Grouping, codes: dict[str, Codes], weights: Values) -> Values:
    counts = np.bincount(grouping.codes(codes), weights, minlength=len(grouping.labels))
    shares: Values = counts / max(counts.sum(), 1)
    return shares
