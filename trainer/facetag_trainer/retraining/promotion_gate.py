"""Decides whether a candidate may replace the champion: overall and in every group of images.

Both predict the same images, which had no part in fitting or choosing either. A measure fails if
the candidate is significantly worse (95%), or worse by more than a margin. The margin keeps small
losses from adding up week by week.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facetag_trainer.evaluation.bootstrap import FEWEST
from facetag_trainer.evaluation.group_measures import SMALLEST
from facetag_trainer.retraining.paired_comparison import (
    GATED,
    Outputs,
    compare_groups,
    compare_overall,
)


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Tells whether a candidate passes, with a reason per measure."""

    holds: bool
    against: str
    reasons: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as the bundle's row in the database holds it."""
        return {"holds": self.holds, "against": self.against, "reasons": list(self.reasons)}


def judge(labels: Outputs, champion: Outputs, candidate: Outputs, *, against: str) -> GateVerdict:
    """Return the verdict on a candidate from both bundles' outputs (n, units) on the same images.

    Labels (n,) may hold NaN. A head with fewer than ten labelled images fails.
    """
    holds, reasons = True, []
    for head, gated in GATED.items():
        if head not in candidate:
            continue
        known = ~np.isnan(labels[head])
        if known.sum() < FEWEST:
            holds = False
            reasons.append(
                f"{gated.title}: fails, {known.sum()} held-out images are too few to compare"
            )
            continue
        outputs = [values[head][known] for values in (champion, candidate)]
        mine = {name: values[known] for name, values in labels.items()}
        groups = compare_groups(head, gated, mine, outputs)
        for compared in (compare_overall(head, gated, mine[head], outputs), *groups):
            one_holds, reason = compared.state()
            holds = holds and one_holds
            reasons.append(reason)
        if not groups:
            reasons.append(
                f"{gated.title}, groups: not compared, none has {SMALLEST} held-out images"
            )
    return GateVerdict(holds, against, reasons)
