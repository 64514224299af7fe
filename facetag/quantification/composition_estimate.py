"""Estimate who is in a collection: shares by grouping, what makes them doubtful, requirements."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facetag.errors import RequirementInvalid
from facetag.quantification.collection import UNREVIEWED, Collection
from facetag.quantification.domain_shift import (
    CERTAIN_FACTORS,
    Shift,
    measure_shift,
    measure_spread,
)
from facetag.quantification.groupings import GROUPINGS, Grouping
from facetag.quantification.held_out_answers import Answers, HeldOut, Values
from facetag.quantification.intervals import ROUNDS, Shares, bootstrap_shares
from facetag.quantification.targets.requirements import Requirement, RequirementVerdict


@dataclass(frozen=True, slots=True)
class CompositionEstimate:
    """Shares by grouping, and how far the collection is from the held-out images."""

    shares: Sequence[Shares]
    shifts: Sequence[Shift]

    @property
    def doubtful(self) -> set[str]:
        """Return the factors whose shares the photos make doubtful."""
        return {shift.factor for shift in self.shifts if shift.doubtful}

    def doubts(self, grouping: Grouping) -> bool:
        """Tell whether the photos make the shares of a grouping doubtful."""
        return bool(self.doubtful & set(grouping.factors))

    def judge(self, requirement: Requirement) -> RequirementVerdict:
        """Return what the photos say of a requirement; doubtful shares tell nothing.

        Raises RequirementInvalid for a group whose heads were not predicted.
        """
        for each in self.shares:
            if each.grouping.name == requirement.grouping:
                if self.doubts(each.grouping):
                    return RequirementVerdict.OPEN
                return requirement.judge(each)
        raise RequirementInvalid(
            f"{requirement} is about {requirement.grouping}, which these results do not state."
        )


def estimate_composition(
    collection: Collection, held_out: HeldOut, *, rounds: int = ROUNDS, seed: int = 1
) -> CompositionEstimate:
    """Estimate the shares of every grouping that the collection's results tell of.

    Raises QuantificationUnavailable where the results carry no label.
    """
    answers, photos = collection.answers()
    reviewed = collection.reviewed()
    known = set(answers.factors) & set(held_out.answers.factors) & set(held_out.codes)
    held_out = held_out.only(known)
    groupings = [each for each in GROUPINGS if set(each.factors) <= known]
    shares = bootstrap_shares(
        answers, photos, held_out, groupings, rounds=rounds, seed=seed, reviewed=reviewed
    )
    # Labels that people gave say nothing of how sure the network is.
    unseen = np.flatnonzero(np.all([codes == UNREVIEWED for codes in reviewed.values()], axis=0))
    shifts = _measure_shifts(shares, answers.take(unseen), held_out) if len(unseen) else []
    return CompositionEstimate(shares, shifts)


def _measure_shifts(shares: Sequence[Shares], answers: Answers, held_out: HeldOut) -> list[Shift]:
    """Return how far the network's answers are from the held-out ones, by factor."""
    found = [
        measure_shift(factor, *_finest(factor, shares), answers, held_out)
        for factor in CERTAIN_FACTORS
        if factor in held_out.codes
    ]
    found += [
        measure_spread(each.estimated, answers, held_out)
        for each in shares
        if each.grouping.factors == ("age",)
    ]
    return [shift for shift in found if shift is not None]


def _finest(factor: str, shares: Sequence[Shares]) -> tuple[Grouping, Values]:
    """Return the grouping by a factor, and by age if it was predicted, with its shares."""
    of_factor = [each for each in shares if each.grouping.factors[0] == factor]
    chosen = next((each for each in of_factor if "age" in each.grouping.factors), of_factor[0])
    return chosen.grouping, chosen.estimated
