"""Decide whether a candidate may replace the champion: on earlier and new images, and in groups.

Both predict the same held-out images, which had no part in fitting or choosing either. What may be
lost follows from the images that the service labels from now on (see `loss_bounds`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from facetag_trainer.evaluation.bootstrap import FEWEST
from facetag_trainer.evaluation.group_measures import SMALLEST
from facetag_trainer.retraining.gate.loss_bounds import BOUNDS, EARLIER, Serves
from facetag_trainer.retraining.gate.paired_comparison import (
    GATED,
    Compared,
    GatedMeasure,
    Judged,
    compare_groups,
    compare_overall,
)

GAIN = "new images: passes, a measure is significantly better"
NO_GAIN = "new images: fails, no measure is significantly better"


class Remark(NamedTuple):
    """A reason that is no comparison of the two bundles, and whether it lets the candidate pass."""

    holds: bool
    words: str


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Tell whether a candidate passes, with a reason per measure."""

    holds: bool
    against: str
    reasons: Sequence[str]
    serves: Serves = "both"
    table: Sequence[dict[str, Any]] = ()
    """A row per comparison, see `Compared.to_json`; the first reasons tell the same in words."""
    notes: Sequence[str] = ()
    """The reasons that are no comparison of the two bundles."""

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as the bundle's row in the database holds it."""
        return {
            "holds": self.holds,
            "against": self.against,
            "reasons": list(self.reasons),
            "for": self.serves,
            "table": list(self.table),
            "notes": list(self.notes),
        }

    def with_checks(self, checks: Sequence["Remark"]) -> "GateVerdict":
        """Return the verdict that holds only if these checks hold too."""
        words = [check.words for check in checks]
        return GateVerdict(
            self.holds and all(check.holds for check in checks),
            self.against,
            [*self.reasons, *words],
            self.serves,
            self.table,
            [*self.notes, *words],
        )


def judge(judged: Sequence[Judged], *, against: str, serves: Serves = "both") -> GateVerdict:
    """Return the verdict on a candidate from held-out images, earlier and new ones.

    Labels may hold NaN. A head with fewer than ten labelled earlier images fails; new images that
    are too few are not compared.
    """
    table, notes, compared_reasons, holds = [], [], [], True
    for each in judged:
        bounds, gained = BOUNDS[serves][each.data], False
        for found in _compare(each):
            if isinstance(found, Remark):
                holds = holds and found.holds
                notes.append(found.words)
                continue
            failure, words = found.state(bounds)
            holds, gained = holds and not failure, gained or _is_gain(found)
            table.append(found.to_json(failure))
            compared_reasons.append(words)
        if bounds.gain:
            holds = holds and gained
            notes.append(GAIN if gained else NO_GAIN)
    return GateVerdict(holds, against, [*compared_reasons, *notes], serves, table, notes)


def _compare(judged: Judged) -> Iterator[Compared | Remark]:
    """Yield the comparisons of all heads, or why there is none."""
    for gated in GATED.values():
        if gated.head not in judged.candidate:
            continue
        known = ~np.isnan(judged.labels[gated.head])
        if known.sum() < FEWEST:
            yield _tell_few(gated, judged.data, int(known.sum()))
            continue
        mine = judged.take(known)
        groups = compare_groups(gated, mine)
        yield compare_overall(gated, mine)
        yield from groups
        if not groups:
            title = gated.title(judged.data)
            words = f"{title}, groups: not compared, none has {SMALLEST} held-out images"
            yield Remark(True, words)


def _tell_few(gated: GatedMeasure, data: str, known: int) -> Remark:
    result = "fails" if data == EARLIER else "not compared"
    words = f"{gated.title(data)}: {result}, {known} held-out images are too few to compare"
    return Remark(data != EARLIER, words)


def _is_gain(compared: Compared) -> bool:
    return not compared.kind and compared.high < 0
