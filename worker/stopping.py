"""How a worker's parent process tells its children to stop: one byte that they share."""

import mmap
import threading
import time
from collections.abc import Callable
from typing import Protocol

GRACE_S = 60.0
"""How long a chunk that is being computed may go on after the worker is asked to stop."""
RELEASE_AFTER_S = 50.0
"""When a chunk that is still not done is given up for others, before the process is ended."""
LOOK_S = 0.5

_ASKED, _FAILED = 1, 2


class Stopping:
    """Whether to stop; made before the children are forked, which share its memory.

    A plain byte, no lock: a child that is killed can leave no lock behind.
    """

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    @property
    def asked(self) -> bool:
        """Whether this worker is to claim nothing more."""
        return self._byte[0] != 0

    @property
    def failed(self) -> bool:
        """Whether it stops because a child could not start."""
        return self._byte[0] == _FAILED

    def ask(self) -> None:
        """Ask every process of this worker to stop; what failed stays failed."""
        self._byte[0] = self._byte[0] or _ASKED

    def fail(self) -> None:
        """Ask to stop because this worker cannot work at all."""
        self._byte[0] = _FAILED


class Holder(Protocol):
    """What holds claims: `worker.heartbeat.Heartbeat`."""

    def surrender(self) -> int:
        """Give back all that is held; returns how many images were."""


def release_when_late(
    stopping: Stopping,
    holder: Holder,
    *,
    after_s: float = RELEASE_AFTER_S,
    sleep: Callable[[float], None] = time.sleep,
) -> threading.Thread:
    """Start a thread that gives back what is still held `after_s` seconds after the word to stop.

    The chunk may be finished all the same: where it was not claimed by another by then, its late
    results are refused, and nobody is blamed for a worker that was only slow.
    """

    def wait() -> None:
        while not stopping.asked:
            sleep(LOOK_S)
        sleep(after_s)
        holder.surrender()

    thread = threading.Thread(target=wait, name="surrender", daemon=True)
    thread.start()
    return thread
