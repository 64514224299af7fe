"""Compare the shares of two collections, or of one with a reference, with 95% intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from facetag.quantification.composition_estimate import CompositionEstimate
from facetag.quantification.groupings import Grouping
from facetag.quantification.held_out_answers import Values
from facetag.quantification.intervals import Shares, half_width


@dataclass(frozen=True, slots=True)
class ShareDifference:
    """Differences of one grouping's shares (groups,), with their intervals (2, groups)."""

    grouping: Grouping
    values: Values
    interval: Values
    doubtful: bool
    """Whether the photos make the shares of either collection doubtful."""

    @property
    def sure(self) -> list[bool]:
        """Tell for each group whether the difference surely is not 0."""
        low, high = self.interval
        return [not self.doubtful and bool(a > 0 or b < 0) for a, b in zip(low, high, strict=True)]


def compare_shares(
    first: CompositionEstimate, second: CompositionEstimate
) -> list[ShareDifference]:
    """Return how much larger the second collection's shares are, by grouping of both.

    Both were estimated with the same seed: where one bundle labelled both, its held-out faces were
    drawn alike, and what is unsure of its errors largely cancels out.
    """
    others = {each.grouping.name: each for each in second.shares}
    return [
        _difference(
            each,
            others[each.grouping.name],
            doubtful=first.doubts(each.grouping) or second.doubts(each.grouping),
        )
        for each in first.shares
        if each.grouping.name in others
    ]


def compare_reference(
    estimate: CompositionEstimate, reference: Mapping[tuple[str, str], float]
) -> list[ShareDifference]:
    """Return how much larger a collection's shares are than a reference's, where it states them.

    `reference` maps the names of grouping and group to shares. Groups without one are NaN.
    """
    found = []
    for each in estimate.shares:
        labels = each.grouping.labels
        wanted = np.array([reference.get((each.grouping.name, one), np.nan) for one in labels])
        if np.isnan(wanted).all():
            continue
        interval = each.interval() - wanted
        doubtful = estimate.doubts(each.grouping)
        found.append(ShareDifference(each.grouping, each.estimated - wanted, interval, doubtful))
    return found


def _difference(first: Shares, second: Shares, *, doubtful: bool) -> ShareDifference:
    values = second.estimated - first.estimated
    half = half_width(
        second.errors - first.errors,
        np.minimum(first.degrees, second.degrees),
        float(np.hypot(first.least_spread, second.least_spread)),
    )
    return ShareDifference(
        first.grouping,
        values,
        np.clip([values - half, values + half], -1, 1),
        doubtful,
    )
