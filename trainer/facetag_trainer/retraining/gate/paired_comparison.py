"""Compare a candidate with the champion per measure, with confidence intervals of the difference.

Both predict the same images, and the bootstrap draws images for both at once (paired), so images
that are hard for both do not widen the interval. Groups are compared in two ways: the worst group
of each bundle, and the group with the most significant loss, since a group with good figures can
lose much before it becomes the worst. With many groups, some lose by chance: the interval of the
second comparison covers all groups at once (it uses the bootstrap's largest deviation of any
group, in standard errors).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag_trainer.evaluation.bootstrap import central_interval, draw_beside_all
from facetag_trainer.evaluation.group_measures import EVERYBODY, SMALLEST, find_groups
from facetag_trainer.evaluation.weighted_metrics import measure_main
from facetag_trainer.reports.table_measures import MAIN, Measure
from facetag_trainer.retraining.gate.loss_bounds import EARLIER, LossBounds

Values = npt.NDArray[np.float32]
Rows = npt.NDArray[np.float64]
Outputs = Mapping[str, Values]

SHARE = 0.95
MOST_LOST = "most significant loss"
EXACT = 1e-9
"""The smallest standard error; a group has none if both bundles agree in every draw."""


@dataclass(frozen=True, slots=True)
class GatedMeasure:
    """A measure that the promotion gate compares."""

    measure: Measure

    @property
    def head(self) -> str:
        """The head that is measured."""
        return self.measure.head

    @property
    def unit(self) -> str:
        """The unit with a space before it, or nothing."""
        return f" {self.measure.unit}" if self.measure.unit else ""

    def title(self, data: str) -> str:
        """Return the measure with its head, as reasons name it; new images are named too."""
        return self.measure.full_name + ("" if data == EARLIER else f" on the {data} images")

    def lost(self, old: Rows, new: Rows) -> Rows:
        """Return how much worse the new values are; below 0 where they are better."""
        return new - old if self.measure.more_is_worse else old - new


GATED = {measure.head: GatedMeasure(measure) for measure in MAIN}


@dataclass(frozen=True, slots=True)
class Judged:
    """Images with labels (n,) by head and both bundles' outputs (n, units) for them.

    `data` says which images they are: earlier or new ones.
    """

    data: str
    labels: Outputs
    champion: Outputs
    candidate: Outputs

    def take(self, members: npt.NDArray[Any]) -> "Judged":
        """Return some of the images."""
        some = (
            {name: values[members] for name, values in columns.items()}
            for columns in (self.labels, self.champion, self.candidate)
        )
        return Judged(self.data, *some)


@dataclass(frozen=True, slots=True)
class Compared:
    """A measure of both bundles in a group, the loss with its 95% confidence interval."""

    gated: GatedMeasure
    data: str
    group: str
    """The group's name, or `all`."""
    kind: str
    """How the group was chosen; empty for all images."""
    n: int
    old: float
    new: float
    loss: float
    low: float
    high: float

    def state(self, bounds: LossBounds) -> tuple[str, str]:
        """Return why the measure fails, or nothing if it passes; and the comparison in words."""
        unit, title = self.gated.unit, self.gated.title(self.data)
        group = f", {self.kind} ({self.group})" if self.kind else ""
        words = (
            f"{title}{group}: {self.new:.3f}{unit}, champion {self.old:.3f}, "
            f"improvement {-self.loss:+z.3f} (95% confidence interval {-self.high:+z.3f} to "
            f"{-self.low:+z.3f})"
        )
        margin = bounds.margin(self.gated.head, group=bool(self.kind))
        # Of many groups, some lose by chance more than a margin.
        beyond = self.loss > margin and not (bounds.served and self.kind.startswith(MOST_LOST))
        significant = self.low > 0
        failure = ""
        if beyond and (bounds.served or significant):
            failure = f"worse by more than {margin:g}{unit}"
        elif bounds.served and significant:
            failure = "significantly worse"
        return failure, f"{words}: fails, {failure}" if failure else f"{words}: passes"

    def to_json(self, failure: str) -> dict[str, Any]:
        """Return the row of the verdict's table; `improvement` is above 0 if the candidate won."""
        return {
            "data": self.data,
            "measure": self.gated.measure.full_name,
            "unit": self.gated.measure.unit,
            "group": self.group,
            "chosen_as": self.kind or None,
            "n": self.n,
            "champion": self.old,
            "candidate": self.new,
            "improvement": -self.loss,
            "interval": [-self.high, -self.low]
            if np.isfinite([self.low, self.high]).all()
            else None,
            "fails": failure or None,
        }


def compare_overall(gated: GatedMeasure, judged: Judged) -> Compared:
    """Compare on all images together; their labels of the measure's head are known."""
    images = len(judged.labels[gated.head])
    old, new = _measure_both(gated, judged, draw_beside_all(images, f"judge {gated.head}"))
    every = _Drawn(gated, judged.data, [EVERYBODY], [images], old[None], new[None])
    return every.compare(0, "", old, new)


def compare_groups(gated: GatedMeasure, judged: Judged) -> list[Compared]:
    """Compare each bundle's worst group, and the group with the most significant loss.

    Returns nothing if no group is large enough.
    """
    weights = draw_beside_all(len(judged.labels[gated.head]), f"judge {gated.head}")
    groups = [
        (name, members)
        for by, name, members in find_groups(judged.labels)
        if by and len(members) >= SMALLEST
    ]
    if not groups:
        return []
    measured = [
        _measure_both(gated, judged.take(members), weights[:, members]) for _, members in groups
    ]
    old, new = np.stack(measured, axis=1)
    names, sizes = [name for name, _ in groups], [len(members) for _, members in groups]
    drawn = _Drawn(gated, judged.data, names, sizes, old, new)
    return [drawn.compare_worst(), drawn.compare_most_significant()]


def _measure_both(gated: GatedMeasure, judged: Judged, weights: Rows) -> tuple[Rows, Rows]:
    """Return the champion's and the candidate's measure per weighting of the images."""
    head, truth = gated.head, judged.labels[gated.head]
    old, new = (
        measure_main(head, truth, outputs[head], weights)
        for outputs in (judged.champion, judged.candidate)
    )
    return old, new


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Hold a measure of both bundles by group, (groups, 1 + draws).

    The value itself comes first, then the bootstrap's draws.
    """

    gated: GatedMeasure
    data: str
    names: Sequence[str]
    sizes: Sequence[int]
    old: Rows
    new: Rows

    def compare(self, group: int, kind: str, old: Rows, new: Rows) -> Compared:
        """Compare two rows (1 + draws), which are stated as those of a group."""
        lost = self.gated.lost(old, new)
        low, high = central_interval(lost[1:], SHARE) or (-np.inf, np.inf)
        return self._state(group, kind, (float(old[0]), float(new[0])), (float(lost[0]), low, high))

    def compare_worst(self) -> Compared:
        """Compare the worst value per draw; the worst group may differ by bundle."""
        more_is_worse = self.gated.measure.more_is_worse
        choose, find = (np.max, np.argmax) if more_is_worse else (np.min, np.argmin)
        group = int(find(self.new[:, 0]))
        return self.compare(
            group, "worst group", choose(self.old, axis=0), choose(self.new, axis=0)
        )

    def compare_most_significant(self) -> Compared:
        """Compare the group with the largest loss in standard errors."""
        lost = self.gated.lost(self.old, self.new)
        losses, draws = lost[:, 0], lost[:, 1:]
        errors = np.maximum(np.nanstd(draws, axis=1), EXACT)
        farthest = np.nanmax(np.abs(draws - losses[:, None]) / errors[:, None], axis=0)
        width = float(np.quantile(farthest, SHARE))
        group = int(np.argmax(losses / errors))
        loss, reach = float(losses[group]), width * float(errors[group])
        return self._state(
            group,
            f"{MOST_LOST} of {len(self.names)} groups",
            (float(self.old[group, 0]), float(self.new[group, 0])),
            (loss, loss - reach, loss + reach),
        )

    def _state(
        self,
        group: int,
        kind: str,
        values: tuple[float, float],
        loss: tuple[float, float, float],
    ) -> Compared:
        name, size = self.names[group], self.sizes[group]
        return Compared(self.gated, self.data, name, kind, size, *values, *loss)
