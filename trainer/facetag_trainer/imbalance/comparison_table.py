"""The table of a comparison, for programs and plots: one row per way of fitting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facetag.heads import HEADS_BY_NAME
from facetag_trainer.imbalance.imbalance_plan import PLAIN, ImbalancePlan, Method
from facetag_trainer.imbalance.minority_measures import (
    Figures,
    HeadOutputs,
    LabelCodes,
    compare,
    draw_measures,
    summarise,
)

HEAD_ALONE = "head"
"""Name of what is fitted on given features."""
Fits = Mapping[tuple[str, Method], Sequence[HeadOutputs]]
"""HeadOutputs (n, units) of each fit, by what was fitted and how."""


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One row of the table: what was fitted, by which method, how often, and its figures."""

    fitted: str
    method: Method
    fits: int
    figures: Figures
    gains: Figures | None
    """Gains over the plain row of the same fitted part; None for that row, and without one."""

    @property
    def name(self) -> str:
        """The row's name in a plot."""
        return self.method if self.fitted == HEAD_ALONE else f"{self.fitted}: {self.method}"

    def to_json(self) -> dict[str, Any]:
        """Return the row as results state it."""
        stated = {"fitted": self.fitted, "method": self.method, "fits": self.fits}
        gains = None if self.gains is None else _state(self.gains)
        return {**stated, "figures": _state(self.figures), "gains": gains}


@dataclass(frozen=True, slots=True)
class ImbalanceComparison:
    """The rows of the table, the plans they follow from, and the numbers of images."""

    plan: ImbalancePlan
    features: Mapping[str, Any]
    """The plan of the network whose features were used."""
    rows: Sequence[ComparisonRow]
    images: Mapping[str, Sequence[int]]
    """Images per label, in the head's order, of each side: training, validation, judged."""

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as `imbalance.json` states it."""
        labels = HEADS_BY_NAME[self.plan.head].labels
        return {
            "plan": self.plan.to_json(),
            "features": dict(self.features),
            "images": {
                side: dict(zip(labels, counts, strict=True)) for side, counts in self.images.items()
            },
            "rows": [row.to_json() for row in self.rows],
        }


def make_rows(head: str, truth: LabelCodes, fits: Fits) -> list[ComparisonRow]:
    """Return one row per way of fitting, measured on labels (n,)."""
    drawn = {way: draw_measures(head, truth, outputs) for way, outputs in fits.items()}
    rows = []
    for (fitted, method), values in drawn.items():
        plain = drawn.get((fitted, PLAIN)) if method != PLAIN else None
        gains = None if plain is None else compare(values, plain)
        rows.append(
            ComparisonRow(fitted, method, len(fits[fitted, method]), summarise(values), gains)
        )
    return rows


def _state(figures: Figures) -> dict[str, Any]:
    return {name: figure.to_json() for name, figure in figures.items()}
