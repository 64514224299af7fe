"""Measure a network by group: by gender, race, age band and their combinations.

Groups follow from the labels, not from the network's predictions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.vision.network.age_range import AgeRange
from facetag_trainer.data.labels import LabelValues, group_codes, group_names
from facetag_trainer.evaluation.bootstrap import central_interval, draw_beside_all
from facetag_trainer.evaluation.weighted_metrics import measure_head
from facetag_trainer.reports.table_measures import find_measure

EVERYBODY = "all"
SMALLEST = 100
"""A smaller group is never called the worst: its figure is mostly chance."""
WORST_BY = tuple(
    find_measure(*one) for one in (("age", "mae"), ("gender", "accuracy"), ("race", "accuracy"))
)
"""The measure of each head by which its worst group is found."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure's value and, if there are enough images, its 95% confidence interval."""

    value: float | None
    interval: tuple[float, float] | None

    def to_json(self) -> dict[str, Any]:
        """Return value and interval, ready for JSON."""
        return {"value": self.value, "interval": self.interval and list(self.interval)}


@dataclass(frozen=True, slots=True)
class Group:
    """A group of images: the heads that define it, its name, size and measures per head."""

    by: tuple[str, ...]
    name: str
    n: int
    counts: dict[str, int]
    """Images with a known label, per head."""
    measures: dict[str, dict[str, Measured]]

    def to_json(self) -> dict[str, Any]:
        """Return the group, ready for JSON."""
        measures = {
            head: {name: measured.to_json() for name, measured in row.items()}
            for head, row in self.measures.items()
        }
        return {"by": list(self.by), "group": self.name, "n": self.n, **measures}


def measure_groups(
    labels: Mapping[str, LabelValues],
    outputs: Mapping[str, LabelValues],
    age_range: AgeRange | None = None,
    *,
    seed: int = 1,
) -> list[Group]:
    """Measure all images, then every group with an image; labels (n,) may hold NaN."""
    return [
        _measure(by, name, members, labels, outputs, age_range, seed)
        for by, name, members in find_groups(labels)
    ]


def find_groups(
    labels: Mapping[str, LabelValues],
) -> Iterator[tuple[tuple[str, ...], str, npt.NDArray[np.intp]]]:
    """Yield the heads, name and members of each group that is not empty; all images come first."""
    columns = {name: group_codes(name, values).tolist() for name, values in labels.items()}
    count = len(next(iter(columns.values())))
    yield (), EVERYBODY, np.arange(count)
    heads = [name for name in ("gender", "race", "age") if name in columns]
    for size in range(1, len(heads) + 1):
        for by in combinations(heads, size):
            crossed: dict[tuple[int, ...], list[int]] = {}
            for index, codes in enumerate(zip(*(columns[name] for name in by), strict=True)):
                if -1 not in codes:
                    crossed.setdefault(codes, []).append(index)
            for codes, members in sorted(crossed.items()):
                names = (group_names(name)[code] for name, code in zip(by, codes, strict=True))
                yield by, ", ".join(names), np.array(members)


def worst_groups(groups: Sequence[Group], smallest: int = SMALLEST) -> dict[str, dict[str, Any]]:
    """Return per head the worst group among those with `smallest` images or more."""
    worst = {}
    for measure in WORST_BY:
        head, choose = measure.head, max if measure.more_is_worse else min
        able = [
            (value, group)
            for group in groups
            if group.by
            and group.counts.get(head, 0) >= smallest
            and (value := group.measures[head][measure.field].value) is not None
        ]
        if able:
            _, found = choose(able, key=itemgetter(0))
            worst[head] = {
                "measure": measure.field,
                "group": found.name,
                "n": found.counts[head],
                **found.measures[head][measure.field].to_json(),
            }
    return worst


def _measure(
    by: tuple[str, ...],
    name: str,
    members: npt.NDArray[np.intp],
    labels: Mapping[str, LabelValues],
    outputs: Mapping[str, LabelValues],
    age_range: AgeRange | None,
    seed: int,
) -> Group:
    counts, measures = {}, {}
    for head, output in outputs.items():
        known = members[~np.isnan(labels[head][members])]
        if not len(known):
            continue
        counts[head] = len(known)
        truth, values = labels[head][known], output[known]
        weights = draw_beside_all(len(known), name, seed=seed)
        found = measure_head(head, truth, values, weights, age_range)
        measures[head] = {
            measure: Measured(
                None if np.isnan(row[0]) else float(row[0]),
                central_interval(row[1:]) if len(row) > 1 else None,
            )
            for measure, row in found.items()
        }
    return Group(by, name, len(members), counts, measures)
