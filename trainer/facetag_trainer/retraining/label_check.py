"""Whether new labels are ones that the champion agrees with as it does with earlier ones.

A candidate may learn a share of wrong labels without losing enough on earlier images to be refused
for that: replay holds against them. The champion has seen neither set; where it agrees with new
labels less than half as well as with those of earlier images of the same group, somebody has to
look at them before they count.
"""

from dataclasses import dataclass

from facetag_trainer.evaluation.groups import SMALLEST, Group, measure_groups
from facetag_trainer.retraining.paired_comparison import MEASURES, Measure, Outputs

TIMES = 2.0
"""How often as large an error, or as small a share of equal labels, is doubted."""


@dataclass(frozen=True, slots=True)
class Read:
    """Labels (n,) by head, NaN where missing, and a bundle's outputs (n, units) for the images."""

    labels: Outputs
    outputs: Outputs


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a bundle reads one group of earlier and of new images, and how sure the latter is."""

    group: str
    n: int
    earlier: float
    new: float
    nearest: float
    """The end of the 95% range of the new value that is nearer to the earlier one."""

    def excess(self, measure: Measure) -> float:
        """Return how much farther apart they surely are than is let through: above 1 is doubted."""
        if measure.more_is_worse:
            return self.nearest / max(TIMES * self.earlier, 1e-9)
        return self.earlier / TIMES / max(self.nearest, 1e-9)


def doubt_labels(earlier: Read, new: Read) -> list[tuple[bool, str]]:
    """Return for each head whether new labels are to be believed, and the reason in words.

    Groups are those of 100 images or more on both sides; everybody is one.
    """
    found = []
    for head, measure in MEASURES.items():
        if head not in new.outputs:
            continue
        agreements = _compare(head, measure, earlier, new)
        if not agreements:
            found.append((True, f"{measure.title} of the new labels: too few images to tell"))
            continue
        farthest = max(agreements, key=lambda one: one.excess(measure))
        holds = farthest.excess(measure) <= 1
        verdict = "holds" if holds else f"fails, it is more than {TIMES:g} times as far from them"
        reason = (
            f"{measure.title} of the champion by the new labels, farthest group ({farthest.group}, "
            f"{farthest.n} images): {farthest.new:.3f}{measure.unit}, and {farthest.earlier:.3f} "
            f"by the earlier labels: {verdict}"
        )
        found.append((holds, reason))
    return found


def _compare(head: str, measure: Measure, earlier: Read, new: Read) -> list[Agreement]:
    before = {group.name: group for group in _large_groups(head, earlier)}
    agreements = []
    for group in _large_groups(head, new):
        if group.name not in before:
            continue
        old = before[group.name].measures[head][measure.name]
        now = group.measures[head][measure.name]
        if old.value is not None and now.value is not None and now.interval is not None:
            nearest = now.interval[0] if measure.more_is_worse else now.interval[1]
            count = group.counts[head]
            agreements.append(Agreement(group.name, count, old.value, now.value, nearest))
    return agreements


def _large_groups(head: str, read: Read) -> list[Group]:
    groups = measure_groups(read.labels, {head: read.outputs[head]})
    return [group for group in groups if group.counts.get(head, 0) >= SMALLEST]
