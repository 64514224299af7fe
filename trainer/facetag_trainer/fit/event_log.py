"""TensorBoard's event files of a fit, by tensorboardX: on any Keras backend, without TensorFlow."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from facetag_trainer.evaluation.metrics import flatten

STEPS_BETWEEN = 20
"""Steps between two points of the loss; epochs always get one."""


class EventLog:
    """Writes scalars into a folder for `tensorboard --logdir`; a context manager.

    A resumed fit opens a file of its own, which takes the place of the points after its first one.
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
        """Record a step's loss, at every so many steps; takes a `loop.FitProgress`."""
        self._steps = progress.steps
        place = progress.epoch * progress.steps + progress.step
        if place % STEPS_BETWEEN == 0:
            self._add("training/loss", progress.loss, place)
            self._add("training/images_per_s", progress.images_per_s, place)

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Record an epoch's row of the history, at the step that it ended with."""
        place = (row["epoch"] + 1) * self._steps
        for name in ("loss", "learning_rate"):
            self._add(f"epoch/{name}", row[name], place)
        for name, value in {"score": row["score"], **flatten(row)}.items():
            self._add(f"validation/{name}", value, place)
        self._writer.flush()

    def _add(self, name: str, value: float, place: int) -> None:
        if self._writer is None:
            # Opened by the first point: a finished run that is looked at again writes no file.
            from tensorboardX import SummaryWriter

            purge = place if self._folder.exists() else None
            self._writer = SummaryWriter(str(self._folder), purge_step=purge)
        self._writer.add_scalar(name, value, place)
