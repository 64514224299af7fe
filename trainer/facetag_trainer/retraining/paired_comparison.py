"""What a candidate loses against the champion, measure by measure, and how sure that is.

Both are measured on the same images, and the bootstrap draws images, so that what both find hard
does not count as a difference (paired). Groups are looked at twice: each bundle's worst one, and
the one whose own loss is the surest, for a group that is read well may lose much before it is the
worst. Of many groups one loses something by chance: the second look's 95% are of all together
(the bootstrap's largest deviation of any group, in standard errors).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facetag_trainer.evaluation.bootstrap import central_interval, draw_beside_all
from facetag_trainer.evaluation.groups import SMALLEST, find_groups
from facetag_trainer.evaluation.weighted_metrics import measure_head

Values = npt.NDArray[np.float32]
Rows = npt.NDArray[np.float64]
Outputs = Mapping[str, Values]

SHARE = 0.95
EXACT = 1e-9
"""A standard error of a group where both answer alike in every draw, which is none."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What is compared of a head: its measure, its unit, and the margins of what may be lost."""

    name: str
    title: str
    more_is_worse: bool
    margin: float
    group_margin: float
    unit: str = ""

    def lost(self, old: Rows, new: Rows) -> Rows:
        """Return by how much the new values are worse; below 0 where they are better."""
        return new - old if self.more_is_worse else old - new


MEASURES = {
    "age": Measure("rmse", "age RMSE", True, 0.2, 1.0, " years"),
    "gender": Measure("accuracy", "gender accuracy", False, 0.01, 0.05),
    "race": Measure("accuracy", "race accuracy", False, 0.01, 0.05),
}
"""Groups have wider margins: of 100 images one is a point."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure of both bundles, the 95% range of what is lost, and what may be lost."""

    title: str
    unit: str
    old: float
    new: float
    loss: float
    low: float
    high: float
    margin: float = np.inf

    def state(self) -> tuple[bool, str]:
        """Return whether the measure holds, and the reason in words."""
        words = (
            f"{self.title}: {self.new:.3f}{self.unit} against {self.old:.3f}, {abs(self.loss):.3f} "
            f"{'worse' if self.loss > 0 else 'better' if self.loss < 0 else 'apart'} "
            f"(95% of differences: {-self.high:+.3f} to {-self.low:+.3f}, more being better)"
        )
        if self.loss > self.margin:
            return False, f"{words}: fails, more than {self.margin:g}{self.unit} are lost"
        if self.low > 0:
            return False, f"{words}: fails, it is surely worse"
        return True, f"{words}: holds"


def compare_overall(
    head: str, measure: Measure, truth: Values, outputs: Sequence[Values]
) -> Compared:
    """Compare on all images together: labels (n,), both bundles' outputs (n, units)."""
    weights = draw_beside_all(len(truth), f"judge {head}")
    old, new = (measure_head(head, truth, output, weights)[measure.name] for output in outputs)
    return _compare_values(measure, measure.title, old, new, measure.margin)


def compare_groups(
    head: str, measure: Measure, labels: Outputs, outputs: Sequence[Values]
) -> list[Compared]:
    """Compare the worst groups, each bundle's own, and the group that loses most surely.

    Nothing where no group is large enough.
    """
    weights = draw_beside_all(len(labels[head]), f"judge {head}")
    names, rows = [], []
    for by, name, members in find_groups(labels):
        if not by or len(members) < SMALLEST:
            continue
        truth, drawn = labels[head][members], weights[:, members]
        names.append(name)
        rows.append([measure_head(head, truth, o[members], drawn)[measure.name] for o in outputs])
    if not names:
        return []
    old, new = np.stack(rows, axis=1)
    return [_compare_worst(measure, names, old, new), _compare_surest(measure, names, old, new)]


def _compare_worst(measure: Measure, names: Sequence[str], old: Rows, new: Rows) -> Compared:
    """Compare the worst of the groups' values (groups, draws), which need not be the same group."""
    choose, find = (np.max, np.argmax) if measure.more_is_worse else (np.min, np.argmin)
    title = f"{measure.title}, worst group ({names[int(find(new[:, 0]))]})"
    worst = (choose(old, axis=0), choose(new, axis=0))
    return _compare_values(measure, title, *worst, measure.group_margin)


def _compare_surest(measure: Measure, names: Sequence[str], old: Rows, new: Rows) -> Compared:
    """Compare the group of values (groups, draws) with the largest loss in standard errors."""
    lost = measure.lost(old, new)
    losses, draws = lost[:, 0], lost[:, 1:]
    errors = np.maximum(np.nanstd(draws, axis=1), EXACT)
    farthest = np.nanmax(np.abs(draws - losses[:, None]) / errors[:, None], axis=0)
    width = float(np.quantile(farthest, SHARE))
    group = int(np.argmax(losses / errors))
    loss, reach = float(losses[group]), width * float(errors[group])
    return Compared(
        f"{measure.title}, surest loss of {len(names)} groups ({names[group]})",
        measure.unit,
        float(old[group, 0]),
        float(new[group, 0]),
        loss,
        loss - reach,
        loss + reach,
    )


def _compare_values(measure: Measure, title: str, old: Rows, new: Rows, margin: float) -> Compared:
    """Compare two rows of values, the first of which is the value itself and the others draws."""
    lost = measure.lost(old, new)
    low, high = central_interval(lost[1:], SHARE) or (-np.inf, np.inf)
    return Compared(
        title, measure.unit, float(old[0]), float(new[0]), float(lost[0]), low, high, margin
    )
