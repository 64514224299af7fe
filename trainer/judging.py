"""Whether a candidate holds against the champion: overall and in the group that is read worst.

Both predict the same images, which neither was fitted or chosen on; the bootstrap draws images, so
that what both find hard does not count as a difference (paired). A measure fails where the
candidate is surely worse (the central 95% of the differences lie on the wrong side), and where it
is worse by more than a margin, so that small losses do not add up week by week.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.bootstrap import FEWEST, central_interval, draw_beside_all
from trainer.groups import SMALLEST, find_groups
from trainer.weighted import measure_head

Values = npt.NDArray[np.float32]
Outputs = Mapping[str, Values]


@dataclass(frozen=True, slots=True)
class Measure:
    """What is compared of a head: its measure, its unit, and the margins of what may be lost."""

    name: str
    title: str
    more_is_worse: bool
    margin: float
    group_margin: float
    unit: str = ""


MEASURES = {
    "age": Measure("rmse", "age RMSE", True, 0.2, 1.0, " years"),
    "gender": Measure("accuracy", "gender accuracy", False, 0.01, 0.05),
    "race": Measure("accuracy", "race accuracy", False, 0.01, 0.05),
}
"""Groups have wider margins: of 100 images one is a point."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a candidate holds, and a reason for each measure."""

    holds: bool
    against: str
    reasons: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as the bundle's row states it."""
        return {"holds": self.holds, "against": self.against, "reasons": list(self.reasons)}


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure of both bundles, with the bootstrap's values of how much worse one is."""

    title: str
    old: float
    new: float
    worse: npt.NDArray[np.float64]
    margin: float
    unit: str
    more_is_worse: bool

    def state(self) -> tuple[bool, str]:
        """Return whether the measure holds, and the reason in words."""
        loss = self.new - self.old if self.more_is_worse else self.old - self.new
        low, high = central_interval(self.worse) or (-np.inf, np.inf)
        words = (
            f"{self.title}: {self.new:.3f}{self.unit} against {self.old:.3f}, "
            f"{abs(loss):.3f} {'worse' if loss > 0 else 'better' if loss < 0 else 'apart'} "
            f"(95% of differences: {-high:+.3f} to {-low:+.3f}, more being better)"
        )
        if loss > self.margin:
            return False, f"{words}: fails, more than {self.margin:g}{self.unit} are lost"
        if low > 0:
            return False, f"{words}: fails, it is surely worse"
        return True, f"{words}: holds"


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
        overall = _compare_overall(head, measure, mine[head], outputs)
        worst = _compare_worst(head, measure, mine, outputs)
        for compared in (overall, worst):
            if compared is None:
                reasons.append(
                    f"{measure.title}, worst group: no group has {SMALLEST} held-out images"
                )
                continue
            one_holds, reason = compared.state()
            holds = holds and one_holds
            reasons.append(reason)
    return Verdict(holds, against, reasons)


def _compare_overall(
    head: str, measure: Measure, truth: Values, outputs: Sequence[Values]
) -> Compared:
    weights = draw_beside_all(len(truth), f"judge {head}")
    old, new = (measure_head(head, truth, output, weights)[measure.name] for output in outputs)
    return _to_compared(measure, measure.title, old, new, measure.margin)


def _compare_worst(
    head: str, measure: Measure, labels: Outputs, outputs: Sequence[Values]
) -> Compared | None:
    """Compare the worst groups, each bundle's own; None where no group is large enough."""
    weights = draw_beside_all(len(labels[head]), f"judge {head}")
    names: list[str] = []
    rows: list[list[npt.NDArray[np.float64]]] = [[], []]
    for by, name, members in find_groups(labels):
        if not by or len(members) < SMALLEST:
            continue
        names.append(name)
        for row, output in zip(rows, outputs, strict=True):
            found = measure_head(head, labels[head][members], output[members], weights[:, members])
            row.append(found[measure.name])
    if not names:
        return None
    choose = np.max if measure.more_is_worse else np.min
    old, new = (choose(np.stack(row), axis=0) for row in rows)
    values = [row[0] for row in rows[1]]
    worst = names[int(np.argmax(values) if measure.more_is_worse else np.argmin(values))]
    title = f"{measure.title}, worst group ({worst})"
    return _to_compared(measure, title, old, new, measure.group_margin)


def _to_compared(
    measure: Measure,
    title: str,
    old: npt.NDArray[np.float64],
    new: npt.NDArray[np.float64],
    margin: float,
) -> Compared:
    worse = new[1:] - old[1:] if measure.more_is_worse else old[1:] - new[1:]
    return Compared(
        title,
        float(old[0]),
        float(new[0]),
        worse,
        margin,
        measure.unit,
        measure.more_is_worse,
    )
