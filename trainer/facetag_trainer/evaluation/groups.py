"""Whom a network reads well and whom it does not: every measure by gender, race, age and crossings.

Groups are made by the labels, not by what the network says.
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

EVERYBODY = "all"
SMALLEST = 100
"""Images below which a group is not named as the worst: its figure is mostly chance."""
WORST_BY = {"age": ("mae", max), "gender": ("accuracy", min), "race": ("accuracy", min)}


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure's value, with the bootstrap's central 95% where there are images enough."""

    value: float | None
    interval: tuple[float, float] | None

    def to_json(self) -> dict[str, Any]:
        """Return value and interval as reports state them."""
        return {"value": self.value, "interval": self.interval and list(self.interval)}


@dataclass(frozen=True, slots=True)
class Group:
    """One group of images: by which heads it is made, its name, size, and measures a head."""

    by: tuple[str, ...]
    name: str
    n: int
    counts: dict[str, int]
    """Images with a known label, a head."""
    measures: dict[str, dict[str, Measured]]

    def to_json(self) -> dict[str, Any]:
        """Return the group as reports state it."""
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
    """Measure everybody, then every group that has an image; labels (n,) may hold NaN."""
    return [
        _measure(by, name, members, labels, outputs, age_range, seed)
        for by, name, members in find_groups(labels)
    ]


def find_groups(
    labels: Mapping[str, LabelValues],
) -> Iterator[tuple[tuple[str, ...], str, npt.NDArray[np.intp]]]:
    """Yield the heads, the name and the members of each group that has one; everybody first."""
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
    """Return, a head, the group with the worst figure among those of `smallest` images or more."""
    worst = {}
    for head, (measure, choose) in WORST_BY.items():
        able = [
            (value, group)
            for group in groups
            if group.by
            and group.counts.get(head, 0) >= smallest
            and (value := group.measures[head][measure].value) is not None
        ]
        if able:
            _, found = choose(able, key=itemgetter(0))
            worst[head] = {
                "measure": measure,
                "group": found.name,
                "n": found.counts[head],
                **found.measures[head][measure].to_json(),
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
