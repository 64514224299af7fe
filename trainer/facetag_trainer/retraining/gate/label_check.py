"""Checks new labels: the champion must agree with them about as well as with earlier ones.

A candidate can learn some wrong labels and still pass the comparison on earlier images, since
replay protects those. The champion was fitted on neither set of images. If its error on the new
labels is more than twice that on the earlier labels of the same group, somebody has to look at the
new labels first.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facetag_trainer.evaluation.group_measures import SMALLEST, Group, measure_groups
from facetag_trainer.reports.table_measures import MAIN, Measure
from facetag_trainer.retraining.gate.paired_comparison import Outputs
from facetag_trainer.retraining.gate.promotion_gate import Remark

TIMES = 2.0
"""New labels fail if the error is this many times larger, or the accuracy this many times lower."""


@dataclass(frozen=True, slots=True)
class Read:
    """Labels (n,) by head, NaN where missing, and a bundle's outputs (n, units) for the images."""

    labels: Outputs
    outputs: Outputs

    def take(self, members: npt.NDArray[np.bool_]) -> "Read":
        """Return what is known of some of the images, by a mask (n,)."""
        labels, outputs = (
            {name: values[members] for name, values in columns.items()}
            for columns in (self.labels, self.outputs)
        )
        return Read(labels, outputs)


@dataclass(frozen=True, slots=True)
class Agreement:
    """A bundle's figures in one group: on the earlier labels and on the new ones."""

    group: str
    n: int
    earlier: float
    new: float
    nearest: float
    """The end of the new value's 95% confidence interval that is nearer to the earlier value."""

    def excess(self, measure: Measure) -> float:
        """Return the significant difference in units of what is allowed: above 1 fails."""
        if measure.more_is_worse:
            return self.nearest / max(TIMES * self.earlier, 1e-9)
        return self.earlier / TIMES / max(self.nearest, 1e-9)


def check_labels(earlier: Read, new: Read) -> list[Remark]:
    """Return per head whether the new labels pass, and the reason in words.

    Compares all images, and every group with 100 images or more on both sides.
    """
    found = []
    for measure in MAIN:
        head = measure.head
        if head not in new.outputs:
            continue
        agreements = _compare(head, measure, earlier, new)
        if not agreements:
            words = f"{measure.full_name} on the new labels: passes, too few images to check"
            found.append(Remark(True, words))
            continue
        farthest = max(agreements, key=lambda one: one.excess(measure))
        holds = farthest.excess(measure) <= 1
        verdict = "passes" if holds else f"fails, more than {TIMES:g} times worse: check the labels"
        unit = measure.unit and f" {measure.unit}"
        reason = (
            f"{measure.full_name} of the champion on the new labels, in the group that differs "
            f"most ({farthest.group}, {farthest.n} images): {farthest.new:.3f}{unit}, on earlier "
            f"labels {farthest.earlier:.3f}: {verdict}"
        )
        found.append(Remark(holds, reason))
    return found


def _compare(head: str, measure: Measure, earlier: Read, new: Read) -> list[Agreement]:
    before = {group.name: group for group in _large_groups(head, earlier)}
    agreements = []
    for group in _large_groups(head, new):
        if group.name not in before:
            continue
        old = before[group.name].measures[head][measure.field]
        now = group.measures[head][measure.field]
        if old.value is not None and now.value is not None and now.interval is not None:
            nearest = now.interval[0] if measure.more_is_worse else now.interval[1]
            count = group.counts[head]
            agreements.append(Agreement(group.name, count, old.value, now.value, nearest))
    return agreements


def _large_groups(head: str, read: Read) -> list[Group]:
    groups = measure_groups(read.labels, {head: read.outputs[head]})
    return [group for group in groups if group.counts.get(head, 0) >= SMALLEST]
