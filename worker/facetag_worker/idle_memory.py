"""Give free memory back to the system once a worker has been idle for a while."""

import threading
from collections.abc import Callable

from facetag.vision.inference.glibc_heap import return_free_memory

IDLE_S = 5.0
"""Jobs and predictions that follow each other sooner need the same memory again, which would be
mapped anew, page by page."""


class IdleMemory:
    """Call `give_back` when no work has begun `idle_s` seconds after the last one ended."""

    def __init__(
        self, *, idle_s: float = IDLE_S, give_back: Callable[[], None] = return_free_memory
    ) -> None:
        self._idle_s = idle_s
        self._give_back = give_back
        self._timer: threading.Timer | None = None

    def work_begins(self) -> None:
        """Keep the memory while there is work."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def work_ends(self) -> None:
        """Give free memory back, unless work begins soon."""
        self.work_begins()
        self._timer = threading.Timer(self._idle_s, self._give_back)
        self._timer.daemon = True
        self._timer.start()
