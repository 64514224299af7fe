"""How many cores this process may use: by its affinity, and by the quota of its control group."""

import math
import os
from pathlib import Path

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
"""The quota of a container's control group (version 2), as the container sees it."""


def available_cores(quota_file: Path = CPU_MAX) -> int:
    """Return how many cores this process may use, 1 at least; a part of a core counts as one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min(cores or 1, _quota(quota_file))))


def compute_in_lanes(lanes: int) -> None:
    """Have TensorFlow, which must not have started yet, give an operation one thread.

    As many operations at a time as there are lanes: two halves of a batch, a core each, are done
    sooner than the whole batch on both. What the environment says already is kept.
    """
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(lanes))


def _quota(file: Path) -> float:
    """Return the cores that a quota amounts to; infinite where there is none that can be read."""
    try:
        quota, period = file.read_text().split()
        return float("inf") if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return float("inf")
