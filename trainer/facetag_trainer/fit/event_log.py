"""Write a fit's TensorBoard event files by tensorboardX, on any Keras backend."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from facetag_trainer.evaluation.metrics import flatten

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
