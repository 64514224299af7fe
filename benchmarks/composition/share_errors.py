"""Measure how wrong counted and estimated shares of drawn collections are."""

from dataclasses import astuple, dataclass, replace
from functools import partial

import numpy as np

from benchmarks.composition.drawn_collections import Wanted, draw_pair
from benchmarks.composition.quapy_estimates import compare_quapy
from facetag.quantification.domain_shift import CERTAIN_FACTORS, measure_shift, measure_spread
from facetag.quantification.expectation_maximization import estimate_shares
from facetag.quantification.groupings import Grouping
from facetag.quantification.held_out_answers import HeldOut
from facetag.quantification.intervals import BootstrapFits, bootstrap_shares, fit_bootstrap

AS_DATA_PART = 4
"""One in so many further collections has the data's own shares, where counts are nearly right."""


@dataclass(frozen=True, slots=True)
class ShareErrors:
    """Means over the collections of one grouping."""

    faces: float
    counted: float
    """Absolute error of a share."""
    estimated: float
    inside: float
    """Share of the true shares that lie in the 95% interval."""
    width: float
    doubtful: float
    ratio_error: float = 0.0
    """Standard error of the ratio over the collections."""

    @property
    def ratio(self) -> float:
        """Return the error of estimated shares over that of counted ones."""
        return self.estimated / self.counted


@dataclass(frozen=True, slots=True)
class GroupingErrors:
    """Errors of one grouping: far from the data's shares, at the data's shares, and QuaPy's."""

    grouping: Grouping
    far: ShareErrors
    as_data: ShareErrors
    quapy: dict[str, float]


@dataclass(frozen=True, slots=True)
class Experiment:
    """Hold the faces, how many collections are drawn from them, and how."""

    held_out: HeldOut
    pool: HeldOut | None
    collections: int
    faces: int
    rounds: int
    seed: int
    quapy: bool

    def measure(self, grouping: Grouping) -> GroupingErrors:
        """Return the errors of one grouping."""
        # Ages also tell how sure a gender is. Other factors would be fitted in vain.
        needed = {*grouping.factors, "age"}
        held_out = self.held_out.only(needed)
        pool = None if self.pool is None else self.pool.only(needed)
        fits = None if pool is None else fit_bootstrap(held_out, rounds=self.rounds)
        draw = partial(draw_pair, grouping, held_out, pool, self.faces)

        def measure(wanted: Wanted, number: int) -> ShareErrors:
            rng = np.random.default_rng(self.seed)
            pairs = (draw(rng, wanted) for _ in range(number))
            return _mean([_measure(grouping, *pair, self.rounds, fits) for pair in pairs])

        quapy = {}
        if self.quapy and len(grouping.factors) == 1 and grouping.name != "age":
            rng = np.random.default_rng(self.seed)
            quapy = compare_quapy(grouping, [draw(rng) for _ in range(self.collections)])
        return GroupingErrors(
            grouping,
            measure(Wanted.FAR, self.collections),
            measure(Wanted.AS_DATA, max(1, self.collections // AS_DATA_PART)),
            quapy,
        )


def _measure(
    grouping: Grouping,
    collection: HeldOut,
    known: HeldOut,
    rounds: int,
    fits: BootstrapFits | None,
) -> ShareErrors:
    fits = fits or fit_bootstrap(known, rounds=rounds)
    codes = grouping.codes(collection.codes)
    truth = np.bincount(codes, minlength=len(grouping.labels)) / len(codes)
    (shares,) = bootstrap_shares(
        collection.answers, np.arange(len(codes)), known, [grouping], rounds=rounds, fits=fits
    )
    low, high = shares.interval()
    doubtful = False
    for factor in set(grouping.factors) & set(CERTAIN_FACTORS):
        crossing = Grouping((factor, "age"))
        estimated = estimate_shares(fits.whole.likelihoods.of(crossing, collection.answers))
        shift = measure_shift(factor, crossing, estimated, collection.answers, known)
        doubtful = doubtful or (shift is not None and shift.doubtful)
    if "age" in grouping.factors:
        bands = estimate_shares(fits.whole.likelihoods.of(Grouping(("age",)), collection.answers))
        doubtful = doubtful or measure_spread(bands, collection.answers, known).doubtful
    return ShareErrors(
        float(len(codes)),
        float(np.abs(shares.counted - truth).mean()),
        float(np.abs(shares.estimated - truth).mean()),
        float(((low <= truth) & (truth <= high)).mean()),
        float((high - low).mean()),
        float(doubtful),
    )


def _mean(measured: list[ShareErrors]) -> ShareErrors:
    columns = np.array([astuple(one) for one in measured])
    found = ShareErrors(*columns.mean(axis=0).tolist())
    # Of a ratio of means, by linearisation (Cochran 1977, "Sampling Techniques", 2.11).
    rest = [one.estimated - found.ratio * one.counted for one in measured]
    deviation = float(np.std(rest, ddof=1)) if len(rest) > 1 else np.nan
    return replace(found, ratio_error=deviation / (found.counted * len(rest) ** 0.5))
