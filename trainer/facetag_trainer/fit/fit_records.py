"""Record a fit for people: TensorBoard event files, and a plot of its curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from facetag.atomic_write import atomic_open
from facetag_trainer.evaluation.table_1_metrics import flatten

STEPS_BETWEEN = 20
"""Steps between two points of the loss; every epoch has a point too."""


class EventLog:
    """Context manager that writes scalars into a folder for `tensorboard --logdir`.

    A resumed fit opens a new file, whose points replace those after its first one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None
        self._steps = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def step(self, progress: Any) -> None:
        """Record the loss and speed of every `STEPS_BETWEEN`-th step; takes a `FitProgress`."""
        self._steps = progress.steps
        place = progress.epoch * progress.steps + progress.step
        if place % STEPS_BETWEEN == 0:
            self._add("training/loss", progress.loss, place)
            self._add("training/images_per_s", progress.images_per_s, place)

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Record an epoch's row of the history at the epoch's last step."""
        place = (row["epoch"] + 1) * self._steps
        for name in ("loss", "learning_rate"):
            self._add(f"epoch/{name}", row[name], place)
        for name, value in {"score": row["score"], **flatten(row)}.items():
            self._add(f"validation/{name}", value, place)
        self._writer.flush()

    def _add(self, name: str, value: float, place: int) -> None:
        if self._writer is None:
            # The first point opens the file, so that a finished run writes none.
            from tensorboardX import SummaryWriter

            purge = place if self._folder.exists() else None
            self._writer = SummaryWriter(str(self._folder), purge_step=purge)
        self._writer.add_scalar(name, value, place)


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
