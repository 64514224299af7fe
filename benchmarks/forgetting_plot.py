"""The picture of what is forgotten: three measures round by round, on all and on the first kind."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from facetag_trainer.reports.figures import COLOURS, INK, new_figure, strip
from facetag_trainer.retraining.paired_comparison import GATED


def draw_forgetting(found: Mapping[str, Any]) -> Figure:
    """Draw every line after each round; a fit on all shards together is a dashed level."""
    rows = [("all", "all held-out images"), ("first", f"held out of {found['rounds'][0]}")]
    figure = new_figure(4.2 * len(GATED), 3.4 * len(rows))
    grid = figure.subplots(len(rows), len(GATED), squeeze=False)
    for row, (images, title) in enumerate(rows):
        for column, (head, measure) in enumerate(GATED.items()):
            axes = grid[row][column]
            for colour, (line, steps) in zip(COLOURS, found["lines"].items(), strict=False):
                values = [step[images][head] for step in steps]
                if len(values) == 1:
                    axes.axhline(values[0], color=INK, linestyle="--", linewidth=1.2, label=line)
                else:
                    places = range(1, len(values) + 1)
                    axes.plot(places, values, color=colour, marker="o", linewidth=1.6, label=line)
            axes.set_xticks(range(1, len(found["rounds"]) + 1), found["rounds"], fontsize=8)
            axes.set_title(f"{measure.title}{measure.unit and ','}{measure.unit}: {title}")
            axes.title.set_fontsize(9)
            strip(axes)
    grid[0][0].legend(frameon=False, fontsize=9)
    return figure
