"""Draw the plots of an evaluation: confusion, ROC, reliability, ages and groups."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facetag.heads import HEADS_BY_NAME
from facetag_trainer.evaluation.evaluation_results import EvaluationResults
from facetag_trainer.evaluation.group_measures import Group
from facetag_trainer.reports.figures import COLOURS, FIRST, INK, SOFT, new_axes, new_figure, strip


def draw_all(results: EvaluationResults, ages: tuple[Any, Any] | None) -> dict[str, Figure]:
    """Return the plots by name; `ages` are labels and predictions (n,) of images with an age."""
    pictures = {
        f"confusion-{head}": draw_confusion(head, counts)
        for head, counts in results.confusion.items()
    }
    if results.roc:
        pictures["roc"] = draw_roc(results.roc)
    if results.reliability:
        pictures["reliability"] = draw_reliability(results)
    if ages is not None and len(ages[0]):
        pictures["age-scatter"] = draw_ages(*ages)
        pictures["age-by-band"] = draw_age_bands(results.groups)
    crossed = [group for group in results.groups if group.by == ("gender", "race")]
    if crossed:
        pictures["groups"] = draw_groups([results.groups[0], *crossed])
    return pictures


def draw_confusion(head: str, counts: npt.NDArray[np.int64]) -> Figure:
    """Draw the confusion matrix: labels in rows, predictions in columns, with shares per row."""
    labels = HEADS_BY_NAME[head].labels
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    side = 2.2 + 0.72 * len(labels)
    figure, axes = new_axes(side + 0.4, side)
    axes.imshow(shares, cmap="GnBu", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
        share = shares[row, column]
        text = f"{share:.0%}\n{counts[row, column]}"
        ink = "white" if share > 0.6 else INK
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=9)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(title=f"apparent {head}", xlabel="predicted", ylabel="labelled")
    return figure


def draw_roc(curves: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """Draw true against false positive rates; each race against all others."""
    figure, axes = new_axes(5.4, 5.0)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle="--")
    for colour, (name, curve) in zip(COLOURS, curves.items(), strict=False):
        axes.plot(*zip(*curve, strict=True), label=name, color=colour, linewidth=1.4)
    axes.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    axes.legend(frameon=False, fontsize=9)
    return figure


def draw_reliability(results: EvaluationResults) -> Figure:
    """Draw accuracy against stated probability per head, with the number of images per bin."""
    heads = results.reliability
    figure = new_figure(4.8 * len(heads), 5.0)
    upper = figure.subplots(2, len(heads), height_ratios=[4, 1], squeeze=False, sharex="col")
    for (head, bins), top, low in zip(heads.items(), upper[0], upper[1], strict=True):
        error = results.groups[0].measures[head]["ece"].value
        top.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle="--")
        top.plot(
            [one.probability for one in bins],
            [one.accuracy for one in bins],
            color=FIRST,
            marker="o",
            markersize=4,
        )
        top.set(title=f"apparent {head}: ECE {error:.3f}", ylabel="accuracy", xlim=(0, 1.02))
        top.set_ylim(0, 1.02)
        centres = [(one.low + one.high) / 2 for one in bins]
        low.bar(centres, [one.n for one in bins], width=0.9 / 15, color=SOFT)
        low.set(xlabel="stated probability of the predicted label", ylabel="images")
        strip(top)
        strip(low)
    return figure


def draw_ages(labels: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> Figure:
    """Draw predicted against labelled ages, in years."""
    figure, axes = new_axes(5.4, 5.0)
    end = float(max(labels.max(), predicted.max(), 1))
    axes.hexbin(
        labels, predicted, gridsize=40, extent=(0, end, 0, end), cmap="GnBu", bins="log", mincnt=1
    )
    axes.plot([0, end], [0, end], color=SOFT, linewidth=0.8, linestyle="--")
    axes.set(title="apparent age", xlabel="labelled, years", ylabel="predicted, years")
    axes.set_aspect("equal")
    return figure


def draw_age_bands(groups: Sequence[Group]) -> Figure:
    """Draw error, mean error and coverage of apparent ages by labelled age band."""
    bands = [group for group in groups if group.by == ("age",)]
    panels = [("mae", "mean absolute error, years"), ("bias", "mean error, years")]
    if any("coverage" in band.measures["age"] for band in bands):
        panels.append(("coverage", "share of labels in the stated range"))
    figure = new_figure(4.4 * len(panels), 4.2)
    for axes, (measure, title) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True
    ):
        _draw_measured(axes, bands, "age", measure)
        axes.set_xlabel(title)
        strip(axes)
    return figure


def draw_groups(groups: Sequence[Group]) -> Figure:
    """Draw one measure per head for each group, with intervals."""
    panels = [
        ("age", "mae", "age: mean absolute error, years"),
        ("gender", "accuracy", "gender: accuracy"),
        ("race", "accuracy", "race: accuracy"),
    ]
    panels = [panel for panel in panels if panel[0] in groups[0].measures]
    figure = new_figure(4.4 * len(panels), 1.4 + 0.32 * len(groups))
    for axes, (head, measure, title) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True
    ):
        _draw_measured(axes, groups, head, measure)
        axes.set_xlabel(title)
        strip(axes)
    return figure


def _draw_measured(axes: Axes, groups: Sequence[Group], head: str, measure: str) -> None:
    """Draw a measure's value and interval per group, the first group on top."""
    names = []
    for place, group in enumerate(groups):
        names.append(f"{group.name} ({group.counts.get(head, 0)})")
        found = group.measures.get(head, {}).get(measure)
        if found is None or found.value is None:
            continue
        if found.interval is not None:
            axes.plot(found.interval, [place, place], color=FIRST, linewidth=1.6)
        axes.plot([found.value], [place], "o", color=FIRST, markersize=5)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x", color="#e3e1dc", linewidth=0.8)
    axes.set_axisbelow(True)
