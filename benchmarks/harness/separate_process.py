"""Label photos in a process of its own, so that each path gets the threads that suit it."""

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from facetag.cpu import available_cores
from facetag.settings import load_settings
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.inference.glibc_heap import set_up_heaps


@dataclass(frozen=True, slots=True)
class Turn:
    """Hold what labelling photos once took: wall-clock and CPU seconds, faces, ms per stage."""

    seconds: float
    cpu_s: float
    faces: int
    stage_ms: dict[str, float]
    peak_mb: float
    """The largest memory of the process until then."""


Way = Callable[[Sequence[Path]], Turn]
"""A function that labels photos once; for (d), it runs the bare networks for these photos."""


@contextmanager
def run_apart(path: str) -> Iterator[Way]:
    """Run one of the paths (a, a', b or d) in a process of its own, which serves all turns.

    A turn raises EOFError where the process has ended; its traceback stands on standard error.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(path, theirs), daemon=True)
    process.start()
    theirs.close()

    def label(photos: Sequence[Path]) -> Turn:
        ours.send(list(photos))
        turn: Turn = ours.recv()
        return turn

    try:
        yield label
    finally:
        # The end of the pipe ends the process.
        ours.close()
        process.join()


def _serve(path: str, turns: Connection) -> None:
    labeller = _load_path(path)
    while True:
        try:
            photos = turns.recv()
        except EOFError:
            return
        labeller.stage_ms.clear()
        began, began_cpu = time.perf_counter(), time.process_time()
        faces = labeller.label(photos)
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        turns.send(Turn(seconds, cpu_s, faces, dict(labeller.stage_ms), peak_mb))


def _load_path(path: str) -> Any:
    if path in ("b", "d"):
        set_up_heaps()
    in_lanes = path == "b"
    slots = CpuSlots.for_lanes(available_cores()) if in_lanes else CpuSlots.for_one_caller()
    if in_lanes:
        slots.limit_tensorflow()
    from benchmarks.harness.labelling_paths import BoundPath, OurPath, PaperPath

    settings = load_settings()
    if path == "b":
        return OurPath(settings, slots)
    if path == "d":
        return BoundPath(settings, slots)
    return PaperPath(settings, copies=path == "a'")
