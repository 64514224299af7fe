"""Ways to label photos in processes of their own: each with the threads that suit it."""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any

from facetag.cores import available_cores, compute_in_lanes


@dataclass(frozen=True, slots=True)
class Turn:
    """What labelling a set of photos took: seconds by the clock and of processor, faces, stages."""

    seconds: float
    cpu_s: float
    faces: int
    stage_ms: dict[str, float] = field(default_factory=dict)


class Apart:
    """One of the paths (a, a', b or d) in a process of its own, which lives from turn to turn."""

    def __init__(self, path: str) -> None:
        self._process = ProcessPoolExecutor(
            1, mp_context=get_context("spawn"), initializer=_start, initargs=(path,)
        )

    def __enter__(self) -> "Apart":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.shutdown()

    def label(self, photos: Sequence[Path]) -> Turn:
        """Label photos once; for (d), run the bare networks on what the photos came to."""
        return self._process.submit(_label, list(photos)).result()


_state: dict[str, Any] = {}
"""Of a process that is apart: its path, and the bounds of sets of photos that it has met."""


def _start(path: str) -> None:
    if path == "b":
        compute_in_lanes(available_cores())
    from benchmarks.paths import OurPath, PaperPath
    from facetag.settings import Settings

    settings = Settings()
    if path in ("a", "a'"):
        _state["path"] = PaperPath(settings, copies=path == "a'")
    else:
        _state["path"] = OurPath(settings, lanes=available_cores() if path == "b" else 1)
    _state["bounds"] = {} if path == "d" else None


def _label(photos: list[Path]) -> Turn:
    from benchmarks.paths import bound_of

    path, bounds = _state["path"], _state["bounds"]
    if bounds is not None and tuple(photos) not in bounds:
        bounds[tuple(photos)] = bound_of(path, photos)
    began, began_cpu = time.perf_counter(), time.process_time()
    faces = path.label(photos) if bounds is None else bounds[tuple(photos)]()
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    stage_ms = dict(getattr(path, "stage_ms", {}))
    if stage_ms:
        path.stage_ms.clear()
    return Turn(seconds, cpu_s, faces, stage_ms)
