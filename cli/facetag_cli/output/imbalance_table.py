"""Render a comparison of treatments of class imbalance as tables for a terminal."""

from rich.console import Console
from rich.table import Table

from facetag.heads import HEADS_BY_NAME
from facetag_trainer.imbalance.comparison_table import ImbalanceComparison
from facetag_trainer.imbalance.minority_measures import Figure, recall_names

ABSENT = "–"


def render(found: ImbalanceComparison) -> str:
    """Return the figures as text, and below them the gains of each method over plain."""
    # A pipe has no width, and cells that wrap are hard to read.
    console = Console(highlight=False, width=200)
    with console.capture() as capture:
        console.print(_figures(found))
        console.print(
            "Means over the fits ± their standard deviation; [95% confidence interval].",
            markup=False,
        )
        if any(row.gains for row in found.rows):
            console.print(_gains(found))
            console.print(
                "Gains over plain, on the same images; [95% confidence interval].", markup=False
            )
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def _figures(found: ImbalanceComparison) -> Table:
    table = _table(found, "fits")
    for row in found.rows:
        cells = [_cell(row.figures[name], "{:.3f}") for name in _names(found)]
        table.add_row(row.fitted, row.method, str(row.fits), *cells)
    return table


def _gains(found: ImbalanceComparison) -> Table:
    table = _table(found)
    for row in found.rows:
        if row.gains is not None:
            cells = [_cell(row.gains[name], "{:+.3f}") for name in _names(found)]
            table.add_row(row.fitted, row.method, *cells)
    return table


def _table(found: ImbalanceComparison, *more: str) -> Table:
    head = found.plan.head
    judged = found.images["judged"]
    labels = [
        f"recall of\n{label} ({count})"
        for label, count in zip(HEADS_BY_NAME[head].labels, judged, strict=True)
    ]
    return Table("fitted", "method", *more, "accuracy", "macro F1", *labels)


def _names(found: ImbalanceComparison) -> list[str]:
    return ["accuracy", "macro_f1", *recall_names(found.plan.head)]


def _cell(figure: Figure, form: str) -> str:
    if figure.value is None:
        return ABSENT
    spread = "" if figure.spread is None else f" ± {figure.spread:.3f}"
    if figure.interval is None:
        return form.format(figure.value) + spread
    low, high = (form.format(one) for one in figure.interval)
    return f"{form.format(figure.value)}{spread}\n\\[{low}, {high}]"
