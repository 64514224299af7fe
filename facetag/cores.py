"""Share the cores of this process among the threads that decode and compute."""

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from facetag.cpu import available_cores


def compute_in_lanes(lanes: int) -> None:
    """Have this process compute in so many lanes: an operation with one thread, as many at a time.

    Two halves of a batch, a core each, are done sooner than the whole batch on both. TensorFlow
    must not have started yet; what the environment says to it already is kept. Its oneDNN kernels,
    which come with a pool that keeps all memory it ever took, are left out.
    """
    global _turns
    _turns = _Turns(lanes)
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(lanes))
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def threads_an_operation() -> int:
    """Return how many threads an operation is to be computed with: all, unless in lanes."""
    return int(os.environ.get("TF_NUM_INTRAOP_THREADS", "0")) or available_cores()


def one_core(*, ahead: bool = False) -> AbstractContextManager[None]:
    """Return a context in which a thread has a core for itself: it waits for one to be free.

    What decodes and what computes take turns: more threads at it than cores only get in each
    other's way. What is done `ahead` of its time waits while anything else does: it fills the gaps
    that lanes leave when they wait for each other.
    """
    return _turns.take(ahead=ahead)


class _Turns:
    """So many cores, and who waits for one."""

    def __init__(self, cores: int) -> None:
        self._free = cores
        self._urgent = 0
        self._lock = threading.Lock()
        self._for_now = threading.Condition(self._lock)
        self._for_later = threading.Condition(self._lock)

    @contextmanager
    def take(self, *, ahead: bool) -> Iterator[None]:
        """Wait for a core, hold it within the block, and give it back."""
        with self._lock:
            if ahead:
                self._for_later.wait_for(lambda: self._free and not self._urgent)
            else:
                self._urgent += 1
                self._for_now.wait_for(lambda: self._free)
                self._urgent -= 1
            self._free -= 1
            self._wake_next()
        try:
            yield
        finally:
            with self._lock:
                self._free += 1
                self._wake_next()

    def _wake_next(self) -> None:
        # One at a time: whoever wakes takes the interpreter from those that compute.
        if self._free:
            (self._for_now if self._urgent else self._for_later).notify()


_turns = _Turns(available_cores())
