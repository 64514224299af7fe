"""Plot the curves of a fit: loss, learning rate and validation figures per epoch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facetag.atomic_write import atomic_open
from facetag_trainer.evaluation.metrics import flatten

PANELS: dict[str, tuple[str, ...]] = {
    "training loss": ("loss",),
    "validation score (less is better)": ("score",),
    "learning rate": ("learning_rate",),
    "age: error in years": ("age_rmse", "age_mae"),
    "gender": ("gender_accuracy", "gender_auc"),
    "race": ("race_accuracy", "race_macro_f1"),
}


def draw_curves(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the history, one row per epoch, into a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    rows = [{**row, **flatten(row)} for row in history]
    figure = Figure(figsize=(12, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, names) in zip(figure.subplots(2, 3).flat, PANELS.items(), strict=True):
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        for name in names:
            known = [(row["epoch"] + 1, row[name]) for row in rows if row.get(name) is not None]
            if known:
                axes.plot(*zip(*known, strict=True), marker="o", markersize=3, label=name)
        if axes.lines:
            axes.legend()
    with atomic_open(path, sole_writer=True) as file:
        figure.savefig(file, format="png", dpi=110)
