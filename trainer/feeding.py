"""Batches out of the crop cache, in an order that follows from seed and epoch alone."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.augment import Jitter, centre_crop, jitter_crop
from trainer.crop_cache import CropCache

AHEAD = 6
"""Batches prepared while one is computed."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Images float32 (n, size, size, 3) in 0..255; targets and weights (n,) a head."""

    images: npt.NDArray[np.float32]
    targets: dict[str, npt.NDArray[np.float32]]
    weights: dict[str, npt.NDArray[np.float32]]
    """0 where the label is missing: that head learns nothing from the sample."""


@dataclass(frozen=True, slots=True)
class Feeder:
    """Makes the training batches of an epoch, and the plain ones of the validation set."""

    cache: CropCache
    heads: Sequence[str]
    batch_size: int
    seed: int
    jitter: Jitter
    threads: int = 2

    @property
    def training(self) -> npt.NDArray[np.intp]:
        """Indices of the samples to fit on."""
        return np.flatnonzero(~self.cache.validation)

    @property
    def steps(self) -> int:
        """Training batches an epoch; what does not fill a last batch waits for another epoch."""
        return max(1, len(self.training) // self.batch_size)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Yield the epoch's batches from `first_step` on."""
        order = np.random.default_rng((self.seed, epoch)).permutation(self.training)
        parts = [
            order[step * self.batch_size : (step + 1) * self.batch_size]
            for step in range(first_step, self.steps)
        ]
        yield from _prepare_ahead(lambda part: self._jittered(part, epoch), parts, self.threads)

    def held_out(self) -> Iterator[Batch]:
        """Yield the validation set in order, without jitter."""
        indices = np.flatnonzero(self.cache.validation)
        parts = [
            indices[start : start + self.batch_size]
            for start in range(0, len(indices), self.batch_size)
        ]
        yield from _prepare_ahead(self._plain, parts, self.threads)

    def _plain(self, part: npt.NDArray[np.intp]) -> Batch:
        crops = [centre_crop(self.cache.crops[index], self.cache.size) for index in part]
        return self._batch(part, crops)

    def _jittered(self, part: npt.NDArray[np.intp], epoch: int) -> Batch:
        crops, training = [], self.training
        for index in part:
            rng = np.random.default_rng((self.seed, epoch, int(index)))
            # Not even as surroundings is a held-out image fitted on.
            other = self.cache.crops[rng.choice(training)]
            canvas, inside = self.cache.crops[index], self.cache.inside[index]
            crops.append(jitter_crop(canvas, inside, self.cache.size, self.jitter, rng, other))
        return self._batch(part, crops)

    def _batch(self, part: npt.NDArray[np.intp], crops: list[npt.NDArray[np.uint8]]) -> Batch:
        values = {name: self.cache.labels[name][part] for name in self.heads}
        return Batch(
            images=np.stack(crops).astype(np.float32),
            targets={name: np.nan_to_num(value) for name, value in values.items()},
            weights={name: (~np.isnan(value)).astype(np.float32) for name, value in values.items()},
        )


def _prepare_ahead(
    prepare: Callable[[Any], Batch], parts: Sequence[Any], threads: int
) -> Iterator[Batch]:
    waiting: deque[Future[Batch]] = deque()
    remaining = iter(parts)
    with ThreadPoolExecutor(threads) as pool:
        for part in remaining:
            waiting.append(pool.submit(prepare, part))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
