"""Set how much free memory glibc keeps for the next photos, and give the rest back.

A block that was given back to the system is mapped again page by page, and while one thread does
so, the others wait.
"""

import ctypes
import gc
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGE = 4 * 2**20
"""Blocks of this many bytes or more go back to the system when they are freed; smaller blocks stay
in the heap, which is kept."""
NEVER = 2**31 - 1
PR_SET_THP_DISABLE, EXCEPT_ADVISED = 41, 2
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
ONLY_ADVISED = "[madvise]"
"""What HUGE_PAGES says where the system uses pages of 2 MB only for those who ask for them."""
STATM = Path("/proc/self/statm")


def set_up_heaps() -> None:
    """Make all threads of this process share one heap of small pages, and keep that heap.

    By default there are eight heaps per core, and each keeps its own peak. Call this before any
    thread starts: a thread that runs already has its heap. Without Linux or glibc, this does what
    the system allows.
    """
    prctl = _find("prctl")
    if prctl is not None:
        _limit_huge_pages(prctl)
    mallopt = _find("mallopt")
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, NEVER)


def _limit_huge_pages(prctl: Callable[..., int]) -> None:
    """Leave pages of 2 MB to NumPy, which asks for them for blocks of 4 MB or more.

    In the heap, a few bytes in use would hold a whole page. Blocks of LARGE bytes lie outside of
    it, and the system maps and clears them in half the time.
    """
    if prctl(PR_SET_THP_DISABLE, 1, EXCEPT_ADVISED, 0, 0) != 0 and not _are_only_advised():
        prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)


def _are_only_advised() -> bool:
    try:
        return ONLY_ADVISED in HUGE_PAGES.read_text(encoding="ascii")
    except OSError:
        return False


def resident_bytes() -> int:
    """Return the resident memory of this process in bytes; 0 without Linux."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def collect_garbage() -> None:
    """Free objects that only reference cycles hold, such as a traced network, and their memory."""
    gc.collect()
    return_free_memory()


def return_free_memory() -> None:
    """Give all free whole pages back to the system; do nothing without glibc."""
    trim = _find("malloc_trim")
    if trim is not None:
        trim(0)


@cache
def _find(function: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), function, None)
