"""Check new labels: the champion must agree with them about as well as with earlier ones.

A candidate can learn some wrong labels and still pass the comparison on earlier images, since
replay protects those. The champion was fitted on neither set of images. If its error on the new
labels is more than twice that on the earlier labels of the same group, somebody has to look at the
new labels first. Errors grow with age, so the earlier images are weighted to have the ages of the
new ones: a shard of old people is no reason to look.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.heads import AGE
from facetag_trainer.data.labels import group_codes
from facetag_trainer.evaluation.bootstrap import central_interval, draw_beside_all
from facetag_trainer.evaluation.group_measures import SMALLEST, find_groups
from facetag_trainer.evaluation.weighted_metrics import Weights, measure_main
from facetag_trainer.reports.table_measures import MAIN, Measure
from facetag_trainer.retraining.gate.paired_comparison import Outputs
from facetag_trainer.retraining.gate.promotion_gate import Remark

TIMES = 2.0
"""New labels fail if the error is this many times larger, or the accuracy this many times lower."""
FEWEST_OF_AN_AGE = 20
"""With fewer earlier images in a band of ages, a wider reference is taken."""


@dataclass(frozen=True, slots=True)
class Read:
    """Labels (n,) by head, NaN where missing, and a bundle's outputs (n, units) for the images."""

    labels: Outputs
    outputs: Outputs

    def take(self, members: npt.NDArray[Any]) -> "Read":
        """Return what is known of some of the images, by a mask (n,) or indices (m,)."""
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
    """The value on earlier images that are weighted to have the ages of the new ones."""
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
    before, mine = (_keep_labelled(head, one) for one in (earlier, new))
    able = _find_large_groups(before.labels)
    agreements = []
    for group, members in _find_large_groups(mine.labels).items():
        if group not in able:
            continue
        seen = mine.take(members)
        weights = _weight_by_age(before.labels, able[group], seen.labels)
        old = float(_measure(head, before, weights[None])[0])
        values = _measure(head, seen, draw_beside_all(len(members), group))
        interval = central_interval(values[1:])
        if interval is not None:
            nearest = interval[0] if measure.more_is_worse else interval[1]
            agreements.append(Agreement(group, len(members), old, float(values[0]), nearest))
    return agreements


def _keep_labelled(head: str, read: Read) -> Read:
    return read.take(~np.isnan(read.labels[head]))


def _find_large_groups(labels: Outputs) -> dict[str, npt.NDArray[np.intp]]:
    """Return the members of each group with enough images by name."""
    if not len(next(iter(labels.values()))):
        return {}
    groups = {name: members for _, name, members in find_groups(labels)}
    return {name: members for name, members in groups.items() if len(members) >= SMALLEST}


def _weight_by_age(
    earlier: Outputs, members: npt.NDArray[np.intp], new: Outputs
) -> npt.NDArray[np.float64]:
    """Return weights (n,) of earlier images, so that their ages are spread like the new ones.

    The weights fall on a group's members; for an age that few of them have, on all images of that
    age; for one that few images have, on all members. Without ages, all members weigh the same.
    """
    weights, inside = np.zeros((2, len(next(iter(earlier.values())))))
    inside[members] = 1
    old, wanted = (
        group_codes(AGE.name, labels.get(AGE.name, np.full(len(rows), np.nan)))
        for labels, rows in ((earlier, inside), (new, next(iter(new.values()))))
    )
    for band, count in zip(*np.unique(wanted, return_counts=True), strict=True):
        of_band = (old == band) & (band >= 0)
        references = (of_band * inside, of_band * 1.0, inside)
        enough = (one for one in references if one.sum() >= FEWEST_OF_AN_AGE)
        reference = next(enough, inside)
        weights += count * reference / reference.sum()
    return weights


def _measure(head: str, read: Read, weights: Weights) -> Weights:
    return measure_main(head, read.labels[head], read.outputs[head], weights)
