"""Restart processes that end by themselves, and give up after several short lives.

The service can do without some of them: these are tried again at long intervals instead.
"""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from facetag.errors import FacetagError, LocalServerFailed

LOOK_EVERY_S = 0.5
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
LONG_LIFE_S = 120.0
"""After a life this long, the count of short lives starts again."""
GIVE_UP_AFTER = 4
"""The number of short lives in a row after which the supervisor gives up."""


SPARE_PAUSE_S = 300.0
"""The pause after as many short lives of a process that the service can do without."""


class Restartable(Protocol):
    """A process that can be started again, or a server with its preparations."""

    @property
    def title(self) -> str:
        """The name that messages use."""

    @property
    def exit_status(self) -> int | None:
        """The exit status, negative for a signal; None while the process runs."""

    def restart(self) -> None:
        """Start it again at the same address."""

    def log_tail(self) -> str:
        """Return the end of its log."""


@dataclass
class _Watched:
    process: Restartable
    is_spare: bool = False
    started: float = field(default_factory=time.monotonic)
    short_lives: int = 0
    due: float | None = None


class Supervisor:
    """Watch processes from a thread of its own, between `start()` and `stop()`.

    It gives up, and says so by `on_fault`, if one of `processes` cannot live; never for one of
    `spare`.
    """

    def __init__(
        self,
        processes: Sequence[Restartable],
        *,
        spare: Sequence[Restartable] = (),
        on_event: Callable[[str], None],
        on_fault: Callable[[], None],
    ) -> None:
        self.fault: str | None = None
        """The reason for giving up; None while all is well."""
        self._watched = [
            *(_Watched(process) for process in processes),
            *(_Watched(process, is_spare=True) for process in spare),
        ]
        self._on_event = on_event
        self._on_fault = on_fault
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="facetag-supervisor", daemon=True)

    def start(self) -> None:
        """Start to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; no process is started after this returns."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_EVERY_S):
            try:
                for watched in self._watched:
                    self._look_after(watched)
            except FacetagError as error:
                self.fault = str(error)
            except Exception as error:  # noqa: BLE001 - the fault tells it
                self.fault = f"Processes that end can no longer be started again: {error!r}."
            if self.fault is not None:
                self._on_fault()
                return

    def _look_after(self, watched: _Watched) -> None:
        status = watched.process.exit_status
        if status is None:
            return
        now = time.monotonic()
        if watched.due is None:
            lived_long = now - watched.started >= LONG_LIFE_S
            watched.short_lives = 1 if lived_long else watched.short_lives + 1
            ending = f"{watched.process.title} {describe_end(status)}"
            if watched.short_lives < GIVE_UP_AFTER:
                pause_s = min(FIRST_PAUSE_S * 2 ** (watched.short_lives - 1), LONGEST_PAUSE_S)
                self._on_event(f"{ending}; starting it again in {pause_s:.0f} s")
            else:
                ending = f"{ending}, {watched.short_lives} times in a row"
                pause_s = self._despair(watched, ending)
            watched.due = now + pause_s
        elif now >= watched.due:
            self._restart(watched)
            watched.started, watched.due = now, None

    def _despair(self, watched: _Watched, ending: str) -> float:
        """Give up, unless the process is a spare one; return the pause until it is tried again."""
        if not watched.is_spare:
            self.fault = f"{ending}.\n{watched.process.log_tail()}"
        elif watched.short_lives == GIVE_UP_AFTER:
            self._on_event(
                f"{ending}: everything else stays up, and it is tried again every "
                f"{SPARE_PAUSE_S / 60:.0f} minutes.\n{watched.process.log_tail()}"
            )
        return SPARE_PAUSE_S

    def _restart(self, watched: _Watched) -> None:
        try:
            _start_again(watched.process)
        except FacetagError as error:
            if not watched.is_spare:
                raise
            self._on_event(str(error))


def _start_again(process: Restartable) -> None:
    try:
        process.restart()
    except OSError as error:
        raise LocalServerFailed(f"{process.title} could not be started again: {error}.") from error


def describe_end(status: int) -> str:
    """Return in words how a process with this exit status ended."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
