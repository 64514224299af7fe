"""Draw the plots of an exploration: ages, groups, and their combinations."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from facetag_trainer.data.labels import group_names
from facetag_trainer.exploration.exploration_tables import (
    TITLES,
    CrossTable,
    cross_tables,
    group_rows,
)
from facetag_trainer.exploration.shard_exploration import BY, Exploration
from facetag_trainer.reports.figures import FIRST, INK, SECOND, SOFT, new_axes, new_figure, strip

PICTURES = {
    "ages": "Images by apparent age in years; the lines are the quartiles",
    "groups": "Images by apparent gender, race and age, with shares of the labelled images",
    "crossings": "Images by combination of two; empty groups are red",
    "all-three": "Images by gender, race and age; empty groups are red",
}


def draw_exploration(exploration: Exploration) -> dict[str, Figure]:
    """Return the plots by name; without any known age there is no plot of ages."""
    pictures = {}
    if exploration.ages is not None:
        pictures["ages"] = draw_ages(exploration)
    if exploration.kept:
        tables = cross_tables(exploration)
        pictures["groups"] = draw_groups(exploration)
        pictures["crossings"] = draw_crossings(tables[:-1])
        pictures["all-three"] = draw_all_three(exploration)
    return pictures


def draw_ages(exploration: Exploration) -> Figure:
    """Draw the number of images per age, with the quartiles."""
    figure, axes = new_axes(9.2, 3.4)
    years = exploration.years
    axes.bar(np.arange(len(years)) + 0.5, years, width=0.9, color=FIRST)
    for value in exploration.ages.quartiles if exploration.ages else ():
        axes.axvline(value, color=SECOND, linewidth=1.0, linestyle="--")
    axes.set(xlabel="apparent age, years", ylabel="images", xlim=(0, len(years)))
    return figure


def draw_groups(exploration: Exploration) -> Figure:
    """Draw the number of images per gender, race and age band."""
    figure = new_figure(11.0, 3.4)
    for axes, head in zip(figure.subplots(1, len(BY)), BY, strict=True):
        rows = group_rows(exploration, head)
        counts = [count for _, count, _ in rows]
        axes.barh(range(len(rows)), counts, color=FIRST, height=0.68)
        for place, (_, count, share) in enumerate(rows):
            text = f" {count:,} ({share:.1%})"
            axes.text(count, place, text, va="center", color=INK, fontsize=8)
        axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, max(1, *counts) * 1.4)
        axes.set_title(TITLES[(head,)].lower(), fontsize=10)
        strip(axes)
    return figure


def draw_crossings(tables: list[CrossTable]) -> Figure:
    """Draw the number of images per combination of two heads."""
    heights = [len(table.rows) for table in tables]
    figure = new_figure(9.2, 0.42 * sum(heights) + 0.8 * len(tables))
    for axes, table in zip(
        figure.subplots(len(tables), 1, height_ratios=heights), tables, strict=True
    ):
        counts = np.array([row for _, row in table.rows])
        names = [name for name, _ in table.rows]
        _draw_counts(axes, counts, names, table.columns, highest=counts.max())
        axes.set_title(table.title.lower(), fontsize=10)
    return figure


def draw_all_three(exploration: Exploration) -> Figure:
    """Draw the number of images by race and age, one panel per gender, on one scale."""
    counts = exploration.crossings[BY]
    figure = new_figure(9.2, 5.6)
    for axes, gender, inside in zip(
        figure.subplots(len(counts), 1), group_names("gender"), counts, strict=True
    ):
        _draw_counts(axes, inside, group_names("race"), group_names("age"), highest=counts.max())
        axes.set_title(gender, fontsize=10)
    return figure


def _draw_counts(axes: Axes, counts: Any, rows: Any, columns: Any, highest: float) -> None:
    # Colours follow the square root: otherwise a few large groups leave all others white.
    scale = PowerNorm(0.5, vmin=0, vmax=max(1, highest))
    axes.imshow(counts, cmap="GnBu", norm=scale, aspect="auto")
    for row, column in np.ndindex(*counts.shape):
        count = counts[row, column]
        ink = "white" if scale(count) > 0.7 else INK if count else SECOND
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=ink, fontsize=9)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, colors=INK, labelsize=9)
    axes.spines[:].set_color(SOFT)
