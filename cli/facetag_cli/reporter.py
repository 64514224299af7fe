"""Report progress on standard error: live bars in a terminal, else a line every few seconds.

`Reporter` implements `facetag_trainer.progress.ProgressReporter` for the trainer.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from facetag.results.name_escapes import escape_controls, written_name

PLAIN_EVERY_S = 10.0
PHOTOS = "photos"
STOPPED_AT_START = "Stopped while the servers were starting: nothing was changed."


class Bar(Protocol):
    """The progress of one task, counted in photos or another unit, with a short note."""

    def set(self, done: int, *, total: int | None = None, note: str = "") -> None:
        """Show `done` of `total` (None: the total stays as it is), and a short note."""

    def advance(self, photos: int, size: int) -> None:
        """Add photos and their bytes to what is done."""


class Reporter:
    """Report to a person on standard error; with `quiet` only warnings are printed."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet

    def say(self, text: str) -> None:
        """Print one line, unless quiet; the text is not read as markup."""
        if not self._quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Print one line, even if quiet; what is no text, or steers the terminal, is escaped."""
        self.console.print(escape_controls(written_name(text)), markup=False)

    @contextmanager
    def explain_stop(self, text: str) -> Iterator[None]:
        """Print one line if Ctrl-C ends the body."""
        try:
            yield
        except KeyboardInterrupt:
            self.warn(text)
            raise

    @contextmanager
    def bar(
        self, title: str, *, total: int | None, size: int | None = None, unit: str = PHOTOS
    ) -> Iterator[Bar]:
        """Show a bar while the body runs; `size` in bytes adds the bytes to it."""
        if self._quiet:
            yield PlainBar(self, title, total, size, unit=unit, every_s=float("inf"))
        elif self.console.is_terminal:
            with LiveBar(self.console, title, total, size, unit=unit) as live:
                yield live
        else:
            yield PlainBar(self, title, total, size, unit=unit)


class LiveBar:
    """A bar in a terminal with counts, bytes, rate and time left."""

    def __init__(
        self,
        console: Console,
        title: str,
        total: int | None,
        size: int | None,
        *,
        unit: str = PHOTOS,
    ) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            _Counts(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            expand=True,
            transient=True,
        )
        self._task = self._progress.add_task(
            title, total=total, note="", size=size, sent=0, unit=unit
        )

    def __enter__(self) -> Self:
        """Draw the bar."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the bar."""
        self._progress.stop()

    def set(self, done: int, *, total: int | None = None, note: str = "") -> None:
        """Show `done` of `total` (None: the total stays as it is), and a short note."""
        if done < self._progress.tasks[0].completed:
            # Another stage begins: the rate of the one before tells nothing of it.
            self._progress.reset(self._task)
        self._progress.update(self._task, completed=done, total=total, note=note)

    def advance(self, photos: int, size: int) -> None:
        """Add photos and their bytes to what is done."""
        sent = self._progress.tasks[0].fields["sent"] + size
        self._progress.update(self._task, advance=photos, sent=sent)


class PlainBar:
    """Print one line every few seconds, for logs and pipes."""

    def __init__(
        self,
        reporter: Reporter,
        title: str,
        total: int | None,
        size: int | None,
        *,
        unit: str = PHOTOS,
        every_s: float = PLAIN_EVERY_S,
    ) -> None:
        self._reporter = reporter
        self._title = title
        self._total = total
        self._size = size
        self._unit = unit
        self._every_s = every_s
        self._begun = self._said = self._set = time.monotonic()
        self._done = 0
        self._sent = 0

    def set(self, done: int, *, total: int | None = None, note: str = "") -> None:
        """Show `done` of `total` (None: the total stays as it is), and a short note."""
        now = time.monotonic()
        if done < self._done:
            # Another stage began about when this bar was last set.
            self._begun = self._set
        self._set = now
        self._done = done
        self._total = self._total if total is None else total
        if now - self._said >= self._every_s:
            self._said = now
            self._reporter.say(self._line(now - self._begun, note))

    def advance(self, photos: int, size: int) -> None:
        """Add photos and their bytes to what is done."""
        self._sent += size
        self.set(self._done + photos)

    def _line(self, elapsed_s: float, note: str) -> str:
        parts = [f"{self._title}: {count_of(self._done, self._total, self._unit)}"]
        if self._size is not None:
            parts.append(f"{decimal(self._sent)} of {decimal(self._size)}")
        rate = self._done / elapsed_s
        if rate:
            parts.append(f"{rate:.1f} {self._unit}/s")
        if rate and self._total is not None:
            parts.append(f"{(self._total - self._done) / rate:.0f} s left")
        return ", ".join([*parts, note] if note else parts)


class _Counts(ProgressColumn):
    def render(self, task: Task) -> Text:
        total = None if task.total is None else int(task.total)
        text = count_of(int(task.completed), total, task.fields["unit"])
        if task.fields["size"] is not None:
            text += f" · {decimal(task.fields['sent'])} of {decimal(task.fields['size'])}"
        return Text(text)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if not speed else f"{speed:.1f}/s", style="dim")


def count_of(done: int, total: int | None, unit: str = PHOTOS) -> str:
    """Return text such as `12 of 200 photos`, or `12 photos` without a total."""
    return f"{done} {unit}" if total is None else f"{done} of {total} {unit}"


def plural(count: int, noun: str) -> str:
    """Return `1 photo`, `2 photos`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
