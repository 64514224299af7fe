"""Hands memory back that is free: glibc keeps what threads and large batches once needed."""

import ctypes
import gc
from collections.abc import Callable
from functools import cache

M_ARENA_MAX = -8
ARENAS = 2
"""Heaps that threads share; by default there are eight a core, each of which keeps its own peak."""


def limit_heaps() -> None:
    """Have the threads of this process share ARENAS heaps; does nothing without glibc."""
    mallopt = _find("mallopt")
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)


def collect_garbage() -> None:
    """Free what only cycles hold, such as a network whose graph was frozen, and hand it back."""
    gc.collect()
    return_free_memory()


def return_free_memory() -> None:
    """Give the system all whole pages that are free; does nothing without glibc."""
    trim = _find("malloc_trim")
    if trim is not None:
        trim(0)


@cache
def _find(function: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), function, None)
