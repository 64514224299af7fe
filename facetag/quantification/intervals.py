"""Compute estimated shares with 95% intervals, by simulating how wrong such estimates are.

Every round draws the held-out faces anew and fits the likelihoods again (Efron and Tibshirani 1993,
"An Introduction to the Bootstrap"). It then estimates the shares of a simulated collection, whose
true shares are known. The errors of the rounds hold all that is unsure: the collection's faces, the
limited number of held-out faces, and the method's own bias where likelihoods fit badly. A first
stage simulates shares like the held-out ones (`difference_estimator`), and shows how far its
estimate and the one for any shares lie apart by chance. From the collection's distance follows the
weight of either. The second stage simulates shares about the estimated ones, as the truth may be (a
nested bootstrap: Hall 1986, "On the Bootstrap and Confidence Intervals").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from facetag.quantification.difference_estimator import (
    DifferenceEstimator,
    remaining_bias,
    weigh,
)
from facetag.quantification.expectation_maximization import estimate_shares
from facetag.quantification.groupings import FINE_AGE, Grouping
from facetag.quantification.held_out_answers import Answers, Codes, HeldOut, Values
from facetag.quantification.likelihoods import Likelihoods, fit_likelihoods
from facetag.quantification.simulated_collection import CollectionSimulator, SimulatedCollection

ROUNDS = 100
"""Rounds of each stage."""
LEVEL = 0.95
FEWEST_DEGREES = 2.0


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares (groups,) of one grouping, and how wrong they may be."""

    grouping: Grouping
    faces: int
    counted: Values
    estimated: Values
    """The mean of the estimates for any shares and for shares like the held-out ones, by weight."""
    counted_draws: Values
    """Counted shares (rounds, groups) of photos that are drawn anew."""
    errors: Values
    """Estimated less true shares (rounds, groups) of simulated collections."""
    degrees: Values
    """Degrees of freedom (groups,) of the errors' spread."""
    undecided: Values
    """Spread (groups,) that comes from not knowing which of the two estimates is right."""

    @property
    def least_spread(self) -> Values:
        """Return the spread (groups,) that there is without errors, too: at least one face's."""
        spread: Values = np.hypot(1 / self.faces, self.undecided)
        return spread

    def interval(self, *, counted: bool = False) -> Values:
        """Return the lower and upper ends (2, groups) of the 95% intervals."""
        if counted:
            tail = 100 * (1 - LEVEL) / 2
            ends: Values = np.percentile(self.counted_draws, [tail, 100 - tail], axis=0)
            return ends
        half = half_width(self.errors, self.degrees, self.least_spread)
        return np.clip([self.estimated - half, self.estimated + half], 0, 1)


def half_width(errors: Values, degrees: Values, least_spread: Values) -> Values:
    """Return half the width (groups,) of the 95% intervals of errors (rounds, groups)."""
    quantiles = student.ppf((1 + LEVEL) / 2, np.maximum(degrees, FEWEST_DEGREES))
    width: Values = quantiles * np.sqrt((errors**2).mean(axis=0) + least_spread**2)
    return width


@dataclass(frozen=True, slots=True)
class Fit:
    """Held-out faces, and the likelihoods that were fitted on them."""

    likelihoods: Likelihoods
    held_out: HeldOut


@dataclass(frozen=True, slots=True)
class BootstrapFits:
    """Fits on all held-out faces, and on draws of them, one for each round."""

    whole: Fit
    drawn: Sequence[Fit]


def fit_bootstrap(held_out: HeldOut, *, rounds: int = ROUNDS, seed: int = 1) -> BootstrapFits:
    """Fit the likelihoods that shares of any collection are estimated with."""
    rng = np.random.default_rng(seed)
    whole = fit_likelihoods(held_out)
    draws = (held_out.take(rng.integers(0, len(held_out), len(held_out))) for _ in range(rounds))
    return BootstrapFits(
        Fit(whole, held_out), [Fit(fit_likelihoods(draw, whole), draw) for draw in draws]
    )


def bootstrap_shares(
    answers: Answers,
    photos: Codes,
    held_out: HeldOut,
    groupings: Sequence[Grouping],
    *,
    rounds: int = ROUNDS,
    seed: int = 1,
    fits: BootstrapFits | None = None,
) -> list[Shares]:
    """Return counted and estimated shares of each grouping.

    `photos` (n,) numbers the photo that each face is in, from 0. Collections that are estimated
    with the same seed and held-out faces share the draws of the latter: their errors can be
    compared round by round. `fits` are those of `fit_bootstrap` with the same held-out faces,
    rounds and seed, where many collections are estimated.
    """
    fits = fits or fit_bootstrap(held_out, rounds=rounds, seed=seed)
    rng = np.random.default_rng((seed, rounds))
    counted = answers.counted_codes()
    weights = [_draw_photos(photos, rng) for _ in range(rounds)]
    found = []
    for each in groupings:
        by_count = _count(each, counted, np.ones(len(answers)))
        simulation = _Simulation(each, fits, answers, photos, rng)
        estimated, errors, undecided = simulation.estimate(by_count)
        found.append(
            Shares(
                each,
                len(answers),
                by_count,
                estimated,
                np.array([_count(each, counted, one) for one in weights]),
                errors,
                _degrees(each, held_out),
                undecided,
            )
        )
    return found


class _Simulation:
    """Estimate one grouping's shares, and simulate collections to see how wrong that is."""

    def __init__(
        self,
        grouping: Grouping,
        fits: BootstrapFits,
        answers: Answers,
        photos: Codes,
        rng: np.random.Generator,
    ) -> None:
        self._grouping, self._drawn, self._rng = grouping, fits.drawn, rng
        self._whole = fits.whole
        whole = fits.whole.likelihoods
        self._likelihoods = whole.of(grouping, answers)
        adapted = self._adapt(whole, answers)
        likelihoods = adapted.of(grouping, answers)
        self._first = estimate_shares(likelihoods)
        repetition = _repetition(likelihoods * self._first, photos)
        held_out, faces = fits.whole.held_out, len(answers)
        self._alike = CollectionSimulator(held_out, grouping, faces, repetition)
        self._free = CollectionSimulator(
            held_out, grouping, faces, repetition, _chances(held_out, adapted, whole)
        )

    def estimate(self, counted: Values) -> tuple[Values, Values, Values]:
        """Return estimated shares (groups,), their errors (rounds, groups) and what is undecided.

        `counted` (groups,) are the counted shares.
        """
        alike = self._fit_alike(self._whole).estimate(self._likelihoods, counted)
        free_errors, alike_errors = self._simulate_alike(alike)
        distance = _without_bias(self._first, free_errors) - alike
        noise = (free_errors - alike_errors).var(axis=0)
        weight = weigh(distance, noise)
        errors = self._simulate_free(free_errors)
        apart = _without_bias(self._first, errors) - alike
        return (
            alike + weight * apart,
            weight * errors + (1 - weight) * alike_errors,
            np.sqrt(weight * (1 - weight) * apart**2 + remaining_bias(distance, noise)),
        )

    def _simulate_alike(self, shares: Values) -> tuple[Values, Values]:
        """Return the errors of both estimates where the collection resembles the held-out images.

        Those of the estimate for any shares come first; `shares` (groups,) are the others'.
        """
        free_errors, alike_errors = [], []
        for fit in self._drawn:
            simulated = self._alike.draw(shares, self._rng)
            likelihoods = fit.likelihoods.of(self._grouping, simulated.answers)
            counted = _count(self._grouping, simulated.answers.counted_codes(), simulated.weights)
            estimated = self._fit_alike(fit).estimate(likelihoods, counted, simulated.weights)
            free_errors.append(self._error(simulated, fit))
            alike_errors.append(estimated - simulated.shares)
        return np.array(free_errors), np.array(alike_errors)

    def _simulate_free(self, distances: Values) -> Values:
        """Return the errors (rounds, groups) where shares are so far from the estimated ones."""
        # The sign is drawn, too: the truth may lie on either side of what was estimated.
        signs = self._rng.choice([-1, 1], len(self._drawn))
        return np.array(
            [
                self._error(self._free.draw(_near(self._first, sign * distance), self._rng), fit)
                for fit, distance, sign in zip(self._drawn, distances, signs, strict=True)
            ]
        )

    def _error(self, simulated: SimulatedCollection, fit: Fit) -> Values:
        adapted = self._adapt(fit.likelihoods, simulated.answers, simulated.weights)
        likelihoods = adapted.of(self._grouping, simulated.answers)
        estimated = estimate_shares(likelihoods, simulated.weights, start=self._first)
        return estimated - simulated.shares

    def _adapt(
        self, likelihoods: Likelihoods, answers: Answers, weights: Values | None = None
    ) -> Likelihoods:
        if "age" not in self._grouping.factors:
            return likelihoods
        return likelihoods.adapt(answers, weights)

    def _fit_alike(self, fit: Fit) -> DifferenceEstimator:
        return DifferenceEstimator.fit(fit.likelihoods, fit.held_out, self._grouping)


def _chances(held_out: HeldOut, adapted: Likelihoods, whole: Likelihoods) -> Values | None:
    """Return how much oftener each held-out face (n,) is drawn, for ages as in the collection."""
    if adapted.age is None or whole.age is None:
        return None
    oftener = adapted.age.within / np.maximum(whole.age.within, 1e-9)
    chances: Values = oftener[held_out.codes[FINE_AGE]]
    return chances


def _near(shares: Values, error: Values) -> Values:
    moved = np.clip(shares + error, 0, None)
    return moved if moved.sum() > 0 else shares


def _without_bias(shares: Values, errors: Values) -> Values:
    unbiased = np.clip(shares - errors.mean(axis=0), 0, None)
    total = unbiased.sum()
    return unbiased / total if total > 0 else shares


def _repetition(joint: Values, photos: Codes) -> Values:
    """Return how many faces of its group (groups,) a photo of a face holds, that face included.

    `joint` (n, groups) is in proportion to the chance that a face is of a group.
    """
    chances = joint / joint.sum(axis=1, keepdims=True)
    in_photo = np.zeros((photos.max() + 1, chances.shape[1]))
    np.add.at(in_photo, photos, chances)
    others = (chances * (in_photo[photos] - chances)).sum(axis=0)
    repetition: Values = 1 + others / np.maximum(chances.sum(axis=0), 1e-9)
    return repetition


def _degrees(grouping: Grouping, held_out: HeldOut) -> Values:
    """Return how many held-out faces were misread into or out of each group (groups,).

    The fewer of the two counts, since either decides how wrong a share may be.
    """
    groups = len(grouping.labels)
    true = grouping.codes(held_out.codes)
    counted = grouping.codes(held_out.answers.counted_codes())
    wrong = true != counted
    out_of = np.bincount(true[wrong], minlength=groups)
    into = np.bincount(counted[wrong], minlength=groups)
    return np.minimum(out_of, into).astype(np.float64)


def _draw_photos(photos: Codes, rng: np.random.Generator) -> Values:
    count = int(photos.max()) + 1
    times = np.bincount(rng.integers(0, count, count), minlength=count)
    weights: Values = times[photos].astype(np.float64)
    return weights


def _count(grouping: Grouping, codes: dict[str, Codes], weights: Values) -> Values:
    counts = np.bincount(grouping.codes(codes), weights, minlength=len(grouping.labels))
    shares: Values = counts / max(counts.sum(), 1)
    return shares
