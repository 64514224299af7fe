"""Reading crops with a network in a thread, while more of them are cut."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from vision.frozen import MOST_AT_ONCE
from vision.picture import Pixels

Outputs = dict[str, npt.NDArray[np.float32]]
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class Stopwatch:
    """Adds up the milliseconds that stages take, each by the clock; stages may overlap."""

    def __init__(self) -> None:
        self.ms = {"detect": 0.0, "crop": 0.0, "predict": 0.0}

    def on(
        self,
        stage: str,
        work: Callable[Arguments, Answer],
        /,
        *args: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Answer:
        """Do some of a stage's work and return what it returns."""
        started = time.perf_counter()
        try:
            return work(*args, **options)
        finally:
            self.ms[stage] += (time.perf_counter() - started) * 1000


class CropReader:
    """Gives crops (size, size, 3) to `predict` as soon as there are enough for a full batch."""

    def __init__(
        self, predict: Callable[[Pixels], Outputs], *, size: int, thread: Executor
    ) -> None:
        self._predict = predict
        self._size = size
        self._thread = thread
        self._parts: list[Future[Outputs]] = []
        self._waiting: list[Pixels] = []
        self._count = 0

    def put(self, crops: Sequence[Pixels]) -> range:
        """Take crops to read; return the rows that they have in the outputs."""
        rows = range(self._count, self._count + len(crops))
        self._count = rows.stop
        self._waiting += crops
        while len(self._waiting) >= MOST_AT_ONCE:
            self._submit(self._waiting[:MOST_AT_ONCE])
            self._waiting = self._waiting[MOST_AT_ONCE:]
        return rows

    def outputs(self) -> Outputs:
        """Read what is left and return the outputs of all crops; raises what `predict` raised."""
        if self._waiting or not self._parts:
            self._submit(self._waiting)
        parts = [part.result() for part in self._parts]
        return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}

    def _submit(self, crops: list[Pixels]) -> None:
        nothing = np.zeros((0, self._size, self._size, 3), np.uint8)
        batch = np.stack(crops) if crops else nothing
        self._parts.append(self._thread.submit(self._predict, batch))
