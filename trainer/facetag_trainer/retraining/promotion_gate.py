"""Whether a candidate holds against the champion: overall and in every group of images.

Both predict the same images, which neither was fitted or chosen on. A measure fails where the
candidate is surely worse (95%), and where it is worse by more than a margin, so that small losses
do not add up week by week.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facetag_trainer.evaluation.bootstrap import FEWEST
from facetag_trainer.evaluation.groups import SMALLEST
from facetag_trainer.retraining.paired_comparison import (
    MEASURES,
    Outputs,
    compare_groups,
    compare_overall,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a candidate holds, and a reason for each measure."""

    holds: bool
    against: str
    reasons: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as the bundle's row states it."""
        return {"holds": self.holds, "against": self.against, "reasons": list(self.reasons)}


def judge(labels: Outputs, champion: Outputs, candidate: Outputs, *, against: str) -> Verdict:
    """Return the verdict on a candidate from both bundles' outputs (n, units) on the same images.

    Labels (n,) may hold NaN. Nothing holds that cannot be told: fewer than ten labelled images.
    """
    holds, reasons = True, []
    for head, measure in MEASURES.items():
        if head not in candidate:
            continue
        known = ~np.isnan(labels[head])
        if known.sum() < FEWEST:
            holds = False
            reasons.append(f"{measure.title}: {known.sum()} held-out images are too few to tell")
            continue
        outputs = [values[head][known] for values in (champion, candidate)]
        mine = {name: values[known] for name, values in labels.items()}
        groups = compare_groups(head, measure, mine, outputs)
        for compared in (compare_overall(head, measure, mine[head], outputs), *groups):
            one_holds, reason = compared.state()
            holds = holds and one_holds
            reasons.append(reason)
        if not groups:
            reasons.append(f"{measure.title}, groups: none has {SMALLEST} held-out images")
    return Verdict(holds, against, reasons)
