"""Compares a candidate with the champion per measure, with confidence intervals of the difference.

Both predict the same images, and the bootstrap draws images for both at once (paired), so images
that are hard for both do not widen the interval. Groups are compared in two ways: the worst group
of each bundle, and the group with the most significant loss, since a group with good figures can
lose much before it becomes the worst. With many groups, some lose by chance: the interval of the
second comparison covers all groups at once (it uses the bootstrap's largest deviation of any
group, in standard errors).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facetag_trainer.evaluation.bootstrap import central_interval, draw_beside_all
from facetag_trainer.evaluation.group_measures import SMALLEST, find_groups
from facetag_trainer.evaluation.weighted_metrics import measure_head
from facetag_trainer.reports.table_measures import MAIN, Measure

Values = npt.NDArray[np.float32]
Rows = npt.NDArray[np.float64]
Outputs = Mapping[str, Values]

SHARE = 0.95
EXACT = 1e-9
"""The smallest standard error; a group has none if both bundles agree in every draw."""


@dataclass(frozen=True, slots=True)
class GatedMeasure:
    """A measure that the promotion gate compares, and the largest loss that it allows."""

    measure: Measure
    margin: float
    group_margin: float
    """Wider than `margin`: in a group of 100 images, one image is a whole point."""

    @property
    def title(self) -> str:
        """The measure with its head, as reasons name it."""
        return self.measure.full_name

    @property
    def unit(self) -> str:
        """The unit with a space before it, or nothing."""
        return f" {self.measure.unit}" if self.measure.unit else ""

    def lost(self, old: Rows, new: Rows) -> Rows:
        """Return how much worse the new values are; below 0 where they are better."""
        return new - old if self.measure.more_is_worse else old - new


MARGINS = {"age": (0.2, 1.0), "gender": (0.01, 0.05), "race": (0.01, 0.05)}
GATED = {measure.head: GatedMeasure(measure, *MARGINS[measure.head]) for measure in MAIN}


@dataclass(frozen=True, slots=True)
class Compared:
    """A measure of both bundles, the loss with its 95% confidence interval, and the margin."""

    title: str
    unit: str
    old: float
    new: float
    loss: float
    low: float
    high: float
    margin: float = np.inf

    def state(self) -> tuple[bool, str]:
        """Return whether the measure passes, and the reason in words."""
        words = (
            f"{self.title}: {self.new:.3f}{self.unit}, champion {self.old:.3f}, "
            f"improvement {-self.loss:+.3f} (95% confidence interval {-self.high:+.3f} to "
            f"{-self.low:+.3f})"
        )
        if self.loss > self.margin:
            return False, f"{words}: fails, worse by more than {self.margin:g}{self.unit}"
        if self.low > 0:
            return False, f"{words}: fails, significantly worse"
        return True, f"{words}: passes"


def compare_overall(
    head: str, gated: GatedMeasure, truth: Values, outputs: Sequence[Values]
) -> Compared:
    """Compare on all images together: labels (n,), both bundles' outputs (n, units)."""
    weights = draw_beside_all(len(truth), f"judge {head}")
    old, new = (
        measure_head(head, truth, output, weights)[gated.measure.field] for output in outputs
    )
    return _compare_values(gated, gated.title, old, new, gated.margin)


def compare_groups(
    head: str, gated: GatedMeasure, labels: Outputs, outputs: Sequence[Values]
) -> list[Compared]:
    """Compare each bundle's worst group, and the group with the most significant loss.

    Returns nothing if no group is large enough.
    """
    weights = draw_beside_all(len(labels[head]), f"judge {head}")
    names, rows = [], []
    for by, name, members in find_groups(labels):
        if not by or len(members) < SMALLEST:
            continue
        truth, drawn = labels[head][members], weights[:, members]
        names.append(name)
        rows.append(
            [measure_head(head, truth, o[members], drawn)[gated.measure.field] for o in outputs]
        )
    if not names:
        return []
    old, new = np.stack(rows, axis=1)
    return [
        _compare_worst(gated, names, old, new),
        _compare_most_significant(gated, names, old, new),
    ]


def _compare_worst(gated: GatedMeasure, names: Sequence[str], old: Rows, new: Rows) -> Compared:
    """Compare the worst value per draw (groups, draws); the worst group may differ by bundle."""
    choose, find = (np.max, np.argmax) if gated.measure.more_is_worse else (np.min, np.argmin)
    title = f"{gated.title}, worst group ({names[int(find(new[:, 0]))]})"
    worst = (choose(old, axis=0), choose(new, axis=0))
    return _compare_values(gated, title, *worst, gated.group_margin)


def _compare_most_significant(
    gated: GatedMeasure, names: Sequence[str], old: Rows, new: Rows
) -> Compared:
    """Compare the group (groups, draws) with the largest loss in standard errors."""
    lost = gated.lost(old, new)
    losses, draws = lost[:, 0], lost[:, 1:]
    errors = np.maximum(np.nanstd(draws, axis=1), EXACT)
    farthest = np.nanmax(np.abs(draws - losses[:, None]) / errors[:, None], axis=0)
    width = float(np.quantile(farthest, SHARE))
    group = int(np.argmax(losses / errors))
    loss, reach = float(losses[group]), width * float(errors[group])
    return Compared(
        f"{gated.title}, most significant loss of {len(names)} groups ({names[group]})",
        gated.unit,
        float(old[group, 0]),
        float(new[group, 0]),
        loss,
        loss - reach,
        loss + reach,
    )


def _compare_values(
    gated: GatedMeasure, title: str, old: Rows, new: Rows, margin: float
) -> Compared:
    """Compare two rows of values: first the value itself, then the bootstrap's draws."""
    lost = gated.lost(old, new)
    low, high = central_interval(lost[1:], SHARE) or (-np.inf, np.inf)
    return Compared(
        title, gated.unit, float(old[0]), float(new[0]), float(lost[0]), low, high, margin
    )
