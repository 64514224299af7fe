"""Plots of a study: the score per trial, and the importance of parameters."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from facetag_trainer.reports.figures import FIRST, INK, SECOND, new_axes
from facetag_trainer.tuning.study_results import Results, Tried


def draw_results(results: Results) -> dict[str, Figure]:
    """Return the plots by name; those that need more trials are left out."""
    pictures = {}
    if results.count("complete", "pruned"):
        pictures["history"] = draw_history(results.trials)
    if results.importances is not None:
        pictures["importance"] = draw_importances(results.importances)
    return pictures


def draw_history(trials: Sequence[Tried]) -> Figure:
    """Draw the score of each trial, the best score so far, and the pruned trials."""
    figure, axes = new_axes(6.4, 3.8)
    marks = {"complete": ("o", FIRST, "complete"), "pruned": ("x", SECOND, "pruned")}
    for state, (mark, colour, label) in marks.items():
        known = [(one.number, one.value) for one in trials if one.state == state and one.value]
        if known:
            axes.scatter(*zip(*known, strict=True), marker=mark, color=colour, label=label)
    best = [(one.number, one.best_so_far) for one in trials if one.best_so_far is not None]
    if best:
        axes.step(*zip(*best, strict=True), where="post", color=INK, label="best so far", lw=1.2)
    axes.set(xlabel="trial", ylabel="validation score (less is better)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=9)
    return figure


def draw_importances(importances: Mapping[str, float]) -> Figure:
    """Draw each parameter's share of the score's variance, the largest on top."""
    figure, axes = new_axes(6.4, 0.9 + 0.32 * len(importances))
    names, shares = list(importances), list(importances.values())
    axes.barh(range(len(names)), shares, color=FIRST, height=0.6)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set(xlabel="share of the score's variance (fANOVA)")
    return figure
