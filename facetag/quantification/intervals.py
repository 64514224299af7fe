"""Compute estimated shares with 95% intervals, by simulating how wrong such estimates are.

Every round draws the held-out faces anew and fits the likelihoods again (Efron and Tibshirani 1993,
"An Introduction to the Bootstrap"). It then estimates the shares of a simulated collection, whose
true shares are known. The errors of the rounds hold all that is unsure: the collection's faces, the
limited number of held-out faces, and the method's own bias where likelihoods fit badly. A first
stage simulates shares like the held-out ones (`difference_estimator`), and shows how far its
estimate and the one for any shares lie apart by chance. From the collection's distance follows the
weight of either. The second stage simulates shares about the estimated ones, as the truth may be (a
nested bootstrap: Hall 1986, "On the Bootstrap and Confidence Intervals"). There the weight is found
anew for each collection, so that the errors also hold what a wrong weight costs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from facetag.quantification.difference_estimator import (
    DifferenceEstimator,
    weigh,
)
from facetag.quantification.expectation_maximization import estimate_shares
from facetag.quantification.groupings import FINE_AGE, Grouping
from facetag.quantification.held_out_answers import Answers, Codes, HeldOut, Values
from facetag.quantification.likelihoods import FaceLikelihoods, Likelihoods, fit_likelihoods
from facetag.quantification.simulated_collection import CollectionSimulator, SimulatedCollection

Flags = npt.NDArray[np.bool_]

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

    @property
    def least_spread(self) -> float:
        """Return the spread that there is without errors, too: that of one face."""
        return 1 / self.faces

    def interval(self, *, counted: bool = False) -> Values:
        """Return the lower and upper ends (2, groups) of the 95% intervals."""
        if counted:
            tail = 100 * (1 - LEVEL) / 2
            ends: Values = np.percentile(self.counted_draws, [tail, 100 - tail], axis=0)
            return ends
        half = half_width(self.errors, self.degrees, self.least_spread)
        return np.clip([self.estimated - half, self.estimated + half], 0, 1)


def half_width(errors: Values, degrees: Values, least_spread: float) -> Values:
    """Return half the width (groups,) of the 95% intervals of errors (rounds, groups)."""
    quantiles = student.ppf((1 + LEVEL) / 2, np.maximum(degrees, FEWEST_DEGREES))
    width: Values = quantiles * np.sqrt((errors**2).mean(axis=0) + least_spread**2)
    return width


@dataclass(frozen=True, slots=True)
class Fit:
    """Likelihoods, and what they say of all held-out faces."""

    likelihoods: Likelihoods
    of_held_out: FaceLikelihoods
    times: Values
    """How often each held-out face (n,) was drawn to fit the likelihoods."""

    def fit_alike(self, grouping: Grouping, codes: Codes) -> DifferenceEstimator:
        """Return the estimator for shares like those of the held-out faces' groups (n,)."""
        return DifferenceEstimator.fit(self.of_held_out.of(grouping), codes, self.times)


@dataclass(frozen=True, slots=True)
class BootstrapFits:
    """Fits on all held-out faces, and on draws of them, one for each round."""

    held_out: HeldOut
    whole: Fit
    drawn: Sequence[Fit]


def fit_bootstrap(held_out: HeldOut, *, rounds: int = ROUNDS, seed: int = 1) -> BootstrapFits:
    """Fit the likelihoods that shares of any collection are estimated with."""
    rng = np.random.default_rng(seed)
    faces = len(held_out)
    whole = fit_likelihoods(held_out)

    def fit(index: Codes) -> Fit:
        likelihoods = fit_likelihoods(held_out.take(index), whole)
        times = np.bincount(index, minlength=faces).astype(np.float64)
        return Fit(likelihoods, likelihoods.of_faces(held_out.answers), times)

    return BootstrapFits(
        held_out,
        Fit(whole, whole.of_faces(held_out.answers), np.ones(faces)),
        [fit(rng.integers(0, faces, faces)) for _ in range(rounds)],
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
    reviewed: Mapping[str, Codes] | None = None,
) -> list[Shares]:
    """Return counted and estimated shares of each grouping.

    `photos` (n,) numbers the photo that each face is in, from 0. Collections that are estimated
    with the same seed and held-out faces share the draws of the latter: their errors can be
    compared round by round. `fits` are those of `fit_bootstrap` with the same held-out faces,
    rounds and seed, where many collections are estimated. `reviewed` are labels (n,) by factor that
    people settled, -1 for the others: they are taken as true.
    """
    fits = fits or fit_bootstrap(held_out, rounds=rounds, seed=seed)
    rng = np.random.default_rng((seed, rounds))
    counted = answers.counted_codes()
    weights = [_draw_photos(photos, rng) for _ in range(rounds)]
    found = []
    for each in groupings:
        by_count = _count(each, counted, np.ones(len(answers)))
        allowed = np.ones((1, len(each.labels)), bool) if reviewed is None else each.allow(reviewed)
        simulation = _Simulation(each, fits, answers, photos, rng, allowed)
        estimated, errors = simulation.estimate(by_count)
        found.append(
            Shares(
                each,
                len(answers),
                by_count,
                estimated,
                np.array([_count(each, counted, one) for one in weights]),
                errors,
                _degrees(each, held_out),
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
        allowed: Flags,
    ) -> None:
        """Prepare the rounds; `allowed` (n, groups) tells the groups that reviews leave open."""
        self._grouping, self._fits, self._rng = grouping, fits, rng
        held_out = self._held_out = fits.held_out
        self._codes = grouping.codes(held_out.codes)
        self._counted = held_out.answers.counted_codes()
        whole = fits.whole.likelihoods
        self._likelihoods = whole.of(grouping, answers) * allowed
        adapted = whole.adapt(answers) if "age" in grouping.factors else whole
        likelihoods = adapted.of(grouping, answers) * allowed
        self._first = estimate_shares(likelihoods)
        known = allowed[allowed.sum(axis=1) == 1].sum(axis=0)
        self._unknown = 1 - known.sum() / len(answers)
        # Simulated reviews fall on faces of a group as often as real ones do.
        self._reviewed = np.minimum(known / (self._first * len(answers)), 1)
        repetition = _repetition(likelihoods * self._first, photos)
        self._alike = CollectionSimulator(held_out, grouping, len(answers), repetition)
        self._free = CollectionSimulator(
            held_out, grouping, len(answers), repetition, _chances(held_out, adapted, whole)
        )

    def estimate(self, counted: Values) -> tuple[Values, Values]:
        """Return estimated shares (groups,) and their errors (rounds, groups).

        `counted` (groups,) are the counted shares.
        """
        fitted = self._fits.whole.fit_alike(self._grouping, self._codes)
        alike = fitted.estimate(self._likelihoods, counted, unknown=self._unknown)
        known = self._simulate(self._alike, np.tile(alike, (len(self._fits.drawn), 1)))
        noise = (known.free - known.alike).var(axis=0)
        weight = weigh(_without_bias(self._first, known.free) - alike, noise)
        # The sign is drawn, too: the truth may lie on either side of what was estimated.
        signs = self._rng.choice([-1, 1], (len(self._fits.drawn), 1))
        errors = self._simulate(self._free, _near(self._first, signs * known.free))
        apart = _without_bias(self._first, errors.free) - alike
        return alike + weight * apart, _mixed_errors(errors, known.free.mean(axis=0), noise)

    def _simulate(self, simulator: CollectionSimulator, shares: Values) -> "_Errors":
        """Return the errors where collections have about these shares (rounds, groups)."""
        free, alike = [], []
        for fit, near in zip(self._fits.drawn, shares, strict=True):
            simulated = simulator.draw(near, self._rng)
            true, weights = simulated.groups, simulated.weights
            known = np.zeros(len(true), bool)
            if self._reviewed.any():
                known = self._rng.random(len(true)) < self._reviewed[true]
            allowed = ~known[:, None] | (true[:, None] == np.arange(len(near)))
            answers = fit.of_held_out.take(simulated.rows)
            read = self._grouping.codes(
                {factor: codes[simulated.rows[factor]] for factor, codes in self._counted.items()}
            )
            counted = np.bincount(np.where(known, true, read), weights, len(near)) / weights.sum()
            estimator = fit.fit_alike(self._grouping, self._codes)
            likelihoods = answers.of(self._grouping) * allowed
            unknown = 1 - float(weights[known].sum() / weights.sum())
            found = estimator.estimate(likelihoods, counted, weights, unknown)
            alike.append(found - simulated.shares)
            likelihoods = self._adapt(fit, answers, simulated).of(self._grouping) * allowed
            found = estimate_shares(likelihoods, weights, start=self._first)
            free.append(found - simulated.shares)
        return _Errors(np.array(free), np.array(alike))

    def _adapt(
        self, fit: Fit, answers: FaceLikelihoods, simulated: SimulatedCollection
    ) -> FaceLikelihoods:
        """Return the answers' likelihoods for the ages of their collection."""
        of_ages, ages = fit.likelihoods.age, self._held_out.answers.age
        if "age" not in self._grouping.factors or of_ages is None or ages is None:
            return answers
        ages = ages[simulated.rows["age"]]
        return replace(answers, age=of_ages.adapt(ages, simulated.weights).of(ages))


@dataclass(frozen=True, slots=True)
class _Errors:
    """Errors (rounds, groups) of the estimates for any shares and for those like the held-out."""

    free: Values
    alike: Values


def _mixed_errors(errors: _Errors, known_bias: Values, noise: Values) -> Values:
    """Return the errors (rounds, groups) if each simulated collection gets a weight of its own.

    `known_bias` (groups,) is that of the estimate for any shares where these are like the held-out
    ones, and `noise` as in `weigh`.
    """
    apart = errors.free - errors.alike
    weights = np.array([weigh(one, noise) for one in apart - known_bias])
    mixed: Values = errors.alike + weights[:, None] * apart
    return mixed


def _chances(held_out: HeldOut, adapted: Likelihoods, whole: Likelihoods) -> Values | None:
    """Return how much oftener each held-out face (n,) is drawn, for ages as in the collection."""
    if adapted.age is None or whole.age is None:
        return None
    oftener = adapted.age.within / np.maximum(whole.age.within, 1e-9)
    chances: Values = oftener[held_out.codes[FINE_AGE]]
    return chances


def _near(shares: Values, errors: Values) -> Values:
    moved = np.clip(shares + errors, 0, None)
    return np.where(moved.sum(axis=1, keepdims=True) > 0, moved, shares)


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
