"""The files of a comparison: its figures as JSON, and a plot of each label's recall by method."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from facetag.atomic_write import atomic_write
from facetag.heads import HEADS_BY_NAME
from facetag_trainer.imbalance.comparison_table import ImbalanceComparison
from facetag_trainer.imbalance.minority_measures import Figures, recall_names
from facetag_trainer.reports.figures import COLOURS, INK, SOFT, save


def write_comparison(run: Path, found: ImbalanceComparison) -> Path:
    """Write `imbalance.json`, `recall.svg` and `recall.png`; return the path of the first."""
    rows = {row.name: row.figures for row in found.rows}
    save({"recall": draw_recalls(found.plan.head, rows, found.images["training"])}, run)
    path = run / "imbalance.json"
    atomic_write(path, json.dumps(found.to_json(), indent=2) + "\n", sole_writer=True)
    return path


def draw_recalls(head: str, rows: Mapping[str, Figures], fitted_on: Sequence[int]) -> Figure:
    """Draw recalls with intervals: a row per label, a colour per method, frequent labels on top.

    `fitted_on` are the training images per label, in the head's order.
    """
    labels = HEADS_BY_NAME[head].labels
    order = sorted(range(len(labels)), key=lambda code: -fitted_on[code])
    names = recall_names(head)
    step = 0.7 / len(rows)
    figure = Figure(figsize=(6.4, 1.2 + 0.75 * len(labels)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for number, (name, figures) in enumerate(rows.items()):
        colour = COLOURS[number % len(COLOURS)]
        found = [(place, figures[names[code]]) for place, code in enumerate(order)]
        known = [(place + step * (number - (len(rows) - 1) / 2), one) for place, one in found]
        for place, one in known:
            if one.interval is not None:
                axes.plot(one.interval, [place, place], color=colour, linewidth=1.4)
        values = [float("nan") if one.value is None else one.value for _, one in known]
        axes.scatter(values, [place for place, _ in known], color=colour, s=26, label=name)
    axes.set_yticks(range(len(order)), [f"{labels[code]} ({fitted_on[code]})" for code in order])
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set(xlabel="recall on held-out images", title=f"apparent {head}, by training images")
    axes.grid(axis="x", color="#e3e1dc", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_color(SOFT)
    axes.tick_params(colors=INK, labelsize=9)
    axes.legend(frameon=False, fontsize=9, loc="best")
    return figure
