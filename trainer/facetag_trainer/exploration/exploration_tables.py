"""Turn an exploration's counts into rows and columns, for pages, terminals and JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from facetag_trainer.data.labels import group_names
from facetag_trainer.exploration.shard_exploration import CROSSINGS, Counts, Exploration

TITLES = {
    ("gender",): "Apparent gender",
    ("race",): "Apparent race",
    ("age",): "Apparent age",
    ("gender", "race"): "Gender by race",
    ("gender", "age"): "Gender by age",
    ("race", "age"): "Race by age",
    ("gender", "race", "age"): "Gender and race by age",
}


@dataclass(frozen=True, slots=True)
class CrossTable:
    """Count by combination of heads: the last head gives the columns, the others the rows."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, list[int]]]

    @property
    def totals(self) -> list[int]:
        """Images per column."""
        return [sum(counts[place] for _, counts in self.rows) for place in range(len(self.columns))]


def cross_tables(exploration: Exploration) -> list[CrossTable]:
    """Return a table per combination of two or three heads, empty groups included."""
    return [_tabulate(by, exploration.crossings[by]) for by in CROSSINGS if len(by) > 1]


def group_rows(exploration: Exploration, head: str) -> list[tuple[str, int, float]]:
    """Return each group of a head: name, images, and their share of the labelled images."""
    counts = [int(count) for count in exploration.crossings[(head,)]]
    total = sum(counts) or 1
    return [
        (name, count, count / total) for name, count in zip(group_names(head), counts, strict=True)
    ]


def age_rows(exploration: Exploration) -> list[tuple[str, float | None]]:
    """Return the statistics of ages in years with their names; empty if no age is known."""
    ages = exploration.ages
    if ages is None:
        return []
    first, median, third = ages.quartiles
    return [
        ("mean", ages.mean),
        ("standard deviation", ages.sd),
        ("minimum", ages.minimum),
        ("first quartile", first),
        ("median", median),
        ("third quartile", third),
        ("maximum", ages.maximum),
    ]


def to_json(exploration: Exploration) -> dict[str, Any]:
    """Return all counts, ready for JSON; keys of combinations join the heads with `_`."""
    ages = exploration.ages
    return {
        "read": exploration.read,
        "kept": exploration.kept,
        "dropped": exploration.dropped,
        "left_out": [
            {"name": bad.name, "kind": bad.drop.value, "reason": bad.reason}
            for bad in exploration.left_out
        ],
        "missing": exploration.missing,
        "age": None if ages is None else _state_ages(exploration),
        "counts": {"_".join(by): _nest(by, exploration.crossings[by].tolist()) for by in CROSSINGS},
        "look_alikes": {
            "groups": exploration.look_alikes.groups,
            "images": exploration.look_alikes.images,
            "largest": exploration.look_alikes.largest,
        },
    }


def _state_ages(exploration: Exploration) -> dict[str, Any]:
    rows = {name.replace(" ", "_"): value for name, value in age_rows(exploration)}
    return {
        "n": int(exploration.years.sum()),
        **{name: None if value is None else round(value, 4) for name, value in rows.items()},
        "by_year": exploration.years.tolist(),
    }


def _nest(by: Sequence[str], counts: Any) -> Any:
    if not by:
        return counts
    return {
        name: _nest(by[1:], inner) for name, inner in zip(group_names(by[0]), counts, strict=True)
    }


def _tabulate(by: tuple[str, ...], counts: Counts) -> CrossTable:
    columns = group_names(by[-1])
    names = [""]
    for head in by[:-1]:
        names = [
            f"{before}, {name}" if before else name
            for before in names
            for name in group_names(head)
        ]
    lines = counts.reshape(-1, len(columns)).tolist()
    return CrossTable(TITLES[by], columns, list(zip(names, lines, strict=True)))
