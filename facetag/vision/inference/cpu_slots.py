"""Share the CPU cores of a process among the threads that decode and compute."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from facetag.cpu import available_cores

TF_OPERATION_THREADS = "TF_NUM_INTRAOP_THREADS"


class CpuSlots:
    """Let at most `count` threads decode or compute at the same time, one per slot.

    More threads than cores only delay one another. Up to `lanes` threads may call a compiled
    network at the same time, and each call uses `threads` threads. Make one object per process, at
    its way in, and pass it to everything that decodes or computes there.
    """

    def __init__(self, count: int, *, lanes: int, threads: int) -> None:
        self.lanes = lanes
        self.threads = threads
        self._free = count
        self._urgent = 0
        self._lock = threading.Lock()
        self._for_now = threading.Condition(self._lock)
        self._for_later = threading.Condition(self._lock)

    @classmethod
    def for_lanes(cls, lanes: int) -> "CpuSlots":
        """Return slots for `lanes` threads that each compute on one core.

        Two halves of a batch on one core each take less time than the whole batch on two cores.
        The environment's TF_NUM_INTRAOP_THREADS overrides the one thread per call.
        """
        return cls(lanes, lanes=lanes, threads=_threads_asked_for() or 1)

    @classmethod
    def for_one_caller(cls) -> "CpuSlots":
        """Return slots for one caller at a time, whose calls use all cores.

        The environment's TF_NUM_INTRAOP_THREADS overrides the number of threads per call.
        """
        cores = available_cores()
        return cls(cores, lanes=1, threads=_threads_asked_for() or cores)

    @contextmanager
    def take(self, *, ahead: bool = False) -> Iterator[None]:
        """Wait for a free slot, hold it within the block, and give it back.

        Work that is done `ahead` of its time waits until nobody else waits for a slot. It fills the
        gaps in which lanes wait for one another.
        """
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

    def limit_tensorflow(self) -> None:
        """Set TensorFlow's numbers of threads in the environment; call it before its import.

        Numbers that the environment already states are kept. TensorFlow's oneDNN kernels are
        switched off: their memory pool never gives memory back.
        """
        os.environ[TF_OPERATION_THREADS] = str(self.threads)
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(self.lanes))
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

    def _wake_next(self) -> None:
        # Wake one thread at a time: each thread that wakes takes the interpreter from those that
        # compute.
        if self._free:
            (self._for_now if self._urgent else self._for_later).notify()


def _threads_asked_for() -> int:
    """Return the threads per operation that the environment asks for.

    Return 0 if it asks for none, or for what is no number of threads.
    """
    asked = os.environ.get(TF_OPERATION_THREADS, "")
    return int(asked) if asked.isdecimal() and asked.isascii() else 0
