"""What glibc keeps of memory that is free: what the next photos need, and no more.

A block that is given back is taken anew page by page, and while one thread does, the others wait.
"""

import ctypes
import gc
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGE = 4 * 2**20
"""Bytes from which on a block is handed back when it is freed; with all smaller ones, the heap is
kept."""
NEVER = 2**31 - 1
PR_SET_THP_DISABLE = 41
STATM = Path("/proc/self/statm")


def set_up_heaps() -> None:
    """Have the threads of this process share one heap, in small pages, and keep it.

    By default there are eight heaps a core, each of which keeps its own peak, and a thread that is
    there before this is called has one already. NumPy asks for pages of 2 MB, all of which a few
    bytes in use would hold. Does what the system and its C library know of: all, on Linux with
    glibc.
    """
    prctl = _find("prctl")
    if prctl is not None:
        prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)
    mallopt = _find("mallopt")
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, NEVER)


def resident_bytes() -> int:
    """Return how much memory this process has; 0 where the system does not say (Linux does)."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


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
