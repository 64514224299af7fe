"""How the trainer reports progress: the interface that commands and trainer workers implement.

The trainer may not import the command line, whose `Reporter` draws bars in a terminal; a trainer
worker's heartbeat writes the same lines to the log of its retraining.
"""

from contextlib import AbstractContextManager
from typing import Protocol


class ProgressBar(Protocol):
    """Shows how far one piece of work is."""

    def set(self, done: int, *, total: int | None = None, note: str = "") -> None:
        """Show `done` of `total` (None: the total stays as it is), and a short note beside it."""


class ProgressReporter(Protocol):
    """Tells a person about work that takes long."""

    def say(self, text: str) -> None:
        """Write one line."""

    def bar(self, title: str, *, total: int | None) -> AbstractContextManager[ProgressBar]:
        """Show a bar while the body of the `with` statement runs."""
