"""What a worker that is asked to stop does with claims that it still holds when time runs out."""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from facetag.queue.consumer import Stopping

RELEASE_AFTER_S = 50.0
"""When a chunk that is still not done is given up for others, before the process is ended."""
LOOK_S = 0.5


class Holder(Protocol):
    """What holds claims: `facetag_worker.heartbeat.Heartbeat`."""

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
