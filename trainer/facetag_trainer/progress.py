"""The interface by which the trainer reports progress; commands and trainer workers implement it.

The trainer may not import the command line, whose `Reporter` draws bars in a terminal; a trainer
worker's heartbeat writes the same lines to the log of its retraining.
"""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from facetag_trainer.fit.loop import FitProgress


class ProgressBar(Protocol):
    """Show how far one piece of work is."""

    def set(self, done: int, *, total: int | None = None, note: str = "") -> None:
        """Show `done` of `total` (None: the total stays as it is), and a short note beside it."""


class ProgressReporter(Protocol):
    """Tell a person about work that takes long."""

    def say(self, text: str) -> None:
        """Write one line."""

    def bar(self, title: str, *, total: int | None) -> AbstractContextManager[ProgressBar]:
        """Show a bar while the body of the `with` statement runs."""


def show_step(bar: ProgressBar, step: "FitProgress", epochs: int) -> None:
    """Show on a bar how many images of a fit of so many epochs are done, and its loss."""
    images = len(step.samples)
    bar.set(
        (step.epoch * step.steps + step.step) * images,
        total=epochs * step.steps * images,
        note=f"epoch {step.epoch + 1}/{epochs}, loss {step.loss:.3f}",
    )
