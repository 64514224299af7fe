"""Label photos in a process of its own, so that each path gets the threads that suit it."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from facetag.cpu import available_cores
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.inference.glibc_heap import set_up_heaps


@dataclass(frozen=True, slots=True)
class Turn:
    """Hold what labelling photos once took: wall-clock and CPU seconds, faces, ms per stage."""

    seconds: float
    cpu_s: float
    faces: int
    stage_ms: dict[str, float]


Way = Callable[[Sequence[Path]], Turn]
"""A function that labels photos once; for (d), it runs the bare networks for these photos."""


@contextmanager
def run_apart(path: str) -> Iterator[Way]:
    """Run one of the paths (a, a', b or d) in a process of its own, which serves all turns."""
    with ProcessPoolExecutor(
        1, mp_context=get_context("spawn"), initializer=_start, initargs=(path,)
    ) as process:
        yield lambda photos: process.submit(_label, list(photos)).result()


_paths: list[Any] = []
"""The path of this process; filled by `_start` in each process, empty in the parent."""


def _start(path: str) -> None:
    if path in ("b", "d"):
        set_up_heaps()
    in_lanes = path == "b"
    slots = CpuSlots.for_lanes(available_cores()) if in_lanes else CpuSlots.for_one_caller()
    if in_lanes:
        slots.limit_tensorflow()
    from benchmarks.harness.labelling_paths import BoundPath, OurPath, PaperPath
    from facetag.settings import Settings

    settings = Settings()
    if path == "b":
        _paths.append(OurPath(settings, slots))
    elif path == "d":
        _paths.append(BoundPath(settings, slots))
    else:
        _paths.append(PaperPath(settings, copies=path == "a'"))


def _label(photos: list[Path]) -> Turn:
    (path,) = _paths
    path.stage_ms.clear()
    began, began_cpu = time.perf_counter(), time.process_time()
    faces = path.label(photos)
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    return Turn(seconds, cpu_s, faces, dict(path.stage_ms))
