"""Whether new labels are ones that the champion agrees with as it does with earlier ones.

A candidate may learn a share of wrong labels without losing enough on earlier images to be refused
for that: replay holds against them. The champion has seen neither set; where it agrees with new
labels less than half as well as with those of earlier images of the same group, somebody has to
look at them before they count.
"""

from dataclasses import dataclass

import numpy as np

from trainer.bootstrap import FEWEST, Weights, central_interval, draw_beside_all
from trainer.comparing import MEASURES, Measure, Outputs
from trainer.groups import SMALLEST, find_groups
from trainer.weighted import measure_head

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
    before = {name: values[0] for name, _, values in _measure_groups(head, measure, earlier)}
    agreements = []
    for name, n, values in _measure_groups(head, measure, new):
        interval = central_interval(values[1:])
        if name in before and interval is not None:
            nearest = interval[0] if measure.more_is_worse else interval[1]
            old, now = float(before[name]), float(values[0])
            agreements.append(Agreement(name, n, old, now, nearest))
    return agreements


def _measure_groups(head: str, measure: Measure, read: Read) -> list[tuple[str, int, Weights]]:
    """Return name, images and values (1 + rounds,) of each group that is large enough."""
    known = ~np.isnan(read.labels[head])
    if known.sum() < FEWEST:
        return []
    labels = {name: values[known] for name, values in read.labels.items()}
    output = read.outputs[head][known]
    return [
        (
            name,
            len(members),
            measure_head(
                head,
                labels[head][members],
                output[members],
                draw_beside_all(len(members), f"doubt {head} {name}"),
            )[measure.name],
        )
        for _, name, members in find_groups(labels)
        if len(members) >= SMALLEST
    ]
