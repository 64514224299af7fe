"""Compute estimated shares with 95% intervals, by simulating how wrong such estimates are.

Every round draws the held-out faces anew and fits the likelihoods again (Efron and Tibshirani 1993,
"An Introduction to the Bootstrap"). It then estimates the shares of a simulated collection, whose
true shares are known. The errors of the rounds hold all that is unsure: the collection's faces, the
limited number of held-out faces, and the method's own bias where likelihoods fit badly. A first
stage simulates the estimated shares. The second simulates shares that are as far from them as
the first stage's errors, as the truth may be (a nested bootstrap: Hall 1986, "On the Bootstrap and
Confidence Intervals").

Where counts are nearly right, their errors cancel out, and an estimate only adds its own noise. So
estimates are drawn towards counts (`shrinkage`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from facetag.quantification.expectation_maximization import estimate_shares
from facetag.quantification.groupings import Grouping
from facetag.quantification.held_out_answers import Answers, Codes, HeldOut, Values
from facetag.quantification.likelihoods import Likelihoods, fit_likelihoods
from facetag.quantification.shrinkage import draw_towards
from facetag.quantification.simulated_collection import CollectionSimulator

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
    """Without the bias that the simulation found, and drawn towards counted shares."""
    counted_draws: Values
    """Counted shares (rounds, groups) of photos that are drawn anew."""
    errors: Values
    """Estimated less true shares (rounds, groups) of simulated collections."""
    degrees: Values
    """Degrees of freedom (groups,) of the errors' spread."""
    moved: Values
    """How far (groups,) estimated shares were drawn towards counted ones."""

    @property
    def least_spread(self) -> Values:
        """Return the spread (groups,) that there is without errors, too.

        That of one face, and what the estimate was moved by, which may be wrong.
        """
        spread: Values = np.hypot(1 / self.faces, self.moved)
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
class BootstrapFits:
    """Likelihoods fitted on all held-out faces, and on draws of them, one for each round."""

    whole: Likelihoods
    drawn: Sequence[Likelihoods]


def fit_bootstrap(held_out: HeldOut, *, rounds: int = ROUNDS, seed: int = 1) -> BootstrapFits:
    """Fit the likelihoods that shares of any collection are estimated with."""
    rng = np.random.default_rng(seed)
    whole = fit_likelihoods(held_out)
    return BootstrapFits(
        whole,
        [
            fit_likelihoods(held_out.take(rng.integers(0, len(held_out), len(held_out))), whole)
            for _ in range(rounds)
        ],
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
        likelihoods = fits.whole.of(each, answers)
        first = estimate_shares(likelihoods)
        repetition = _repetition(likelihoods * first, photos)
        simulator = CollectionSimulator(held_out, each, len(answers), repetition)
        errors, of_counts = _simulate_errors(simulator, each, fits.drawn, first, rng)
        by_count = _count(each, counted, np.ones(len(answers)))
        unbiased = _without_bias(first, errors)
        estimated = draw_towards(by_count, unbiased, (errors - of_counts).var(axis=0))
        found.append(
            Shares(
                each,
                len(answers),
                by_count,
                estimated,
                np.array([_count(each, counted, one) for one in weights]),
                errors,
                _degrees(each, held_out),
                estimated - unbiased,
            )
        )
    return found


def _simulate_errors(
    simulator: CollectionSimulator,
    grouping: Grouping,
    drawn: Sequence[Likelihoods],
    shares: Values,
    rng: np.random.Generator,
) -> tuple[Values, Values]:
    """Return the errors (rounds, groups) of estimated and of counted shares."""

    def simulate(likelihoods: Likelihoods, true: Values) -> tuple[Values, Values]:
        simulated = simulator.draw(true, rng)
        estimated = estimate_shares(
            likelihoods.of(grouping, simulated.answers), simulated.weights, start=shares
        )
        counted = _count(grouping, simulated.answers.counted_codes(), simulated.weights)
        return estimated - simulated.shares, counted - simulated.shares

    first = [simulate(likelihoods, shares)[0] for likelihoods in drawn]
    # The sign is drawn, too: the truth may lie on either side of what was estimated.
    signs = rng.choice([-1, 1], len(drawn))
    second = [
        simulate(likelihoods, _near(shares, sign * error))
        for likelihoods, error, sign in zip(drawn, first, signs, strict=True)
    ]
    of_estimates, of_counts = (np.array(errors) for errors in zip(*second, strict=True))
    return of_estimates, of_counts


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
