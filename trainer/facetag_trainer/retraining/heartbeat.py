"""Extend the lease of a claimed retraining, and write its log and progress."""

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.orm import Session, sessionmaker

from facetag.db.engine import transaction
from facetag.errors import DatabaseUnavailable, LeaseLost
from facetag.retraining.log_lines import MOST_LINES, append_lines
from facetag.retraining.retraining_lease import (
    Place,
    RetrainingClaim,
    keep_claim,
    release_retraining,
)

BEAT_S = 2.0
"""The row is written at least this often, so `facetag retrainings list` is never older."""
STALL_S = 7200.0
"""The longest silence: reading a shard of some 100,000 images reports no progress."""
GIVEN_BACK = "given back: the trainer worker stops"

log = structlog.get_logger(__name__)


class Keeper:
    """Hold a claim while the body of a `with` statement runs, and report its progress.

    A separate thread extends the lease, since a step or the comparison can take longer than it.
    When the worker is to stop, the claim is given back without counting as a death. After that, or
    when the claim is lost, the next report of progress raises LeaseLost and ends the work. Work
    that reports nothing for STALL_S hangs: its process is killed, since it holds the lock.
    """

    def __init__(
        self,
        sessions: sessionmaker[Session],
        claim: RetrainingClaim,
        *,
        lease_s: float,
        stopping: Callable[[], bool],
    ) -> None:
        self._sessions = sessions
        self._claim = claim
        self._lease_s = lease_s
        self._stopping = stopping
        self._place = Place()
        self._spoke_at = time.monotonic()
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._lost = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def say(self, text: str) -> None:
        """Add a line to the log; raises LeaseLost."""
        log.info("retraining", id=str(self._claim.id), line=text)
        self._lines.append(text)
        self.check()

    @contextmanager
    def bar(self, title: str, *, total: int | None) -> Iterator["_Counter"]:
        """Note the current work and its progress while the body runs."""
        self.say(title)
        yield _Counter(self, title, total)

    def note_stage(self, words: str) -> None:
        """Note the current work; raises LeaseLost."""
        self._place = replace(self._place, stage=words)
        self.check()

    def note_step(self, epoch: int, step: int, steps: int) -> None:
        """Note the progress of the fit; raises LeaseLost."""
        self._place = replace(self._place, epoch=epoch, step=step, steps=steps)
        self.check()

    def check(self) -> None:
        """Raise LeaseLost if the work should end because its result is no longer wanted."""
        self._spoke_at = time.monotonic()
        if self._lost.is_set():
            raise LeaseLost(f"Retraining {self._claim.id} no longer belongs to this worker.")

    def wait(self, seconds: float) -> None:
        """Wait; raises LeaseLost as soon as the claim is lost."""
        self._lost.wait(seconds)
        self.check()

    def take_lines(self) -> list[str]:
        """Return the lines that are not written yet; the code that ends the claim writes them."""
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        return lines

    def beat(self) -> None:
        """Extend the lease and write log and progress, or give the claim back.

        Raises DatabaseUnavailable; unwritten lines are kept for the next beat.
        """
        lines = self.take_lines()
        stopping = self._stopping()
        try:
            with transaction(self._sessions) as session:
                kept = keep_claim(session, self._claim, self._place, lease_s=self._lease_s)
                if kept:
                    self._write(session, [*lines, GIVEN_BACK] if stopping else lines)
                if kept and stopping:
                    release_retraining(session, self._claim)
        except DatabaseUnavailable:
            self._lines.extendleft(reversed(lines))
            raise
        if stopping or not kept:
            self._lost.set()

    def _write(self, session: Session, lines: list[str]) -> None:
        append_lines(session, self._claim.id, lines, tenant_id=self._claim.tenant_id)

    def _run(self) -> None:
        while not self._ended.wait(min(BEAT_S, self._lease_s / 3)):
            if time.monotonic() - self._spoke_at > STALL_S:
                log.error("retraining_hangs", id=str(self._claim.id), silent_s=STALL_S)
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                self.beat()
            except DatabaseUnavailable as error:
                log.warning("heartbeat_missed", reason=str(error))
            except Exception:
                # Without this thread the lease runs out while the retraining goes on.
                log.exception("heartbeat_failed")
            if self._lost.is_set():
                return


class _Counter:
    """Write counts into the stage of a retraining."""

    def __init__(self, keeper: Keeper, title: str, total: int | None) -> None:
        self._keeper = keeper
        self._title = title
        self._total = total

    def set(self, done: int, *, total: int | None = None, note: str = "") -> None:
        """Note `done` of `total` (None: as before), and a short note."""
        self._total = self._total if total is None else total
        of = "" if self._total is None else f" of {self._total}"
        words = f"{self._title}: {done}{of} images"
        self._keeper.note_stage(f"{words}, {note}" if note else words)
