"""Make and save the plots of reports: colours, axes, and formats."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, SOFT, FIRST, SECOND = "#1d1f21", "#8b9196", "#2f6f7e", "#b0522f"
COLOURS = (FIRST, SECOND, "#6b5b95", "#5f8a3c", "#c49a1a", INK)
FORMATS = ("svg", "png")


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure; its sides are in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def new_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes; its sides are in inches."""
    figure = new_figure(width, height)
    axes = figure.subplots()
    strip(axes)
    return figure, axes


def strip(axes: Axes) -> None:
    """Remove the top and right spine, and colour the others."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_color(SOFT)
    axes.tick_params(colors=INK, labelsize=9)


def save(pictures: Mapping[str, Figure], folder: Path) -> None:
    """Write every plot into the folder, as SVG and as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in pictures.items():
        for form in FORMATS:
            figure.savefig(folder / f"{name}.{form}", format=form, dpi=130)


def embed(figure: Figure) -> str:
    """Return a plot as a data URI, so that a page needs no other file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
