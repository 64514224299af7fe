"""Read what this process may use of the CPU, and which fast instructions the CPU has (Linux)."""

import math
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
"""The CPU quota of a container's control group (version 2), as the container sees it."""

CPU_INFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
INT8_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8"}


def available_cores(quota_file: Path = CPU_MAX) -> int:
    """Return how many cores this process may use, at least 1; part of a core counts as one.

    Both the process's CPU affinity and the quota of its control group limit it.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min(cores or 1, _quota(quota_file))))


@cache
def read_cpu_info(file: Path = CPU_INFO) -> Mapping[str, str]:
    """Return what the file says about the first core, such as its `flags`; empty without it."""
    try:
        lines = file.read_text().split("\n\n")[0].splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def multiplies_bfloat16(file: Path = CPU_INFO) -> bool:
    """Return whether the CPU multiplies bfloat16 natively, which is about twice as fast.

    On other CPUs with AVX-512, oneDNN emulates bfloat16, which is slower than float32.
    """
    return _has_one_of(BFLOAT16_FLAGS, file)


def multiplies_int8(file: Path = CPU_INFO) -> bool:
    """Return whether the CPU adds up products of 8-bit integers natively: twice as fast again.

    On other CPUs the sum of two products may overflow its accumulator.
    """
    return _has_one_of(INT8_FLAGS, file)


def _has_one_of(flags: set[str], file: Path) -> bool:
    return not flags.isdisjoint(read_cpu_info(file).get("flags", "").split())


def _quota(file: Path) -> float:
    """Return the quota in cores; infinite without a quota that can be read."""
    try:
        quota, period = file.read_text().split()
        return float("inf") if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return float("inf")
