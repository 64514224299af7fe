"""Batches out of the crop cache, in an order that follows from seed and epoch alone."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.cpu import available_cores
from facetag.heads import HEADS_BY_NAME
from facetag_trainer.data.augment import Jitter, centre_crop, jitter_crop
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.fit.distillation import Lessons
from facetag_trainer.fit.mixup import Softening

AHEAD = 4
"""Batches prepared and waiting while one is computed, beside those that threads are at."""


@dataclass(frozen=True, slots=True)
class CropBatch:
    """Images float32 (n, size, size, 3) in 0..255; targets and weights (n,) a head."""

    images: npt.NDArray[np.float32]
    targets: dict[str, npt.NDArray[np.float32]]
    weights: dict[str, npt.NDArray[np.float32]]
    """0 where the label is missing: that head learns nothing from the sample."""
    indices: npt.NDArray[np.intp]
    """The samples' places in the cache."""


@dataclass(frozen=True, slots=True)
class Feeder:
    """Makes the training batches of an epoch, and the plain ones of the validation set."""

    cache: CropCache
    heads: Sequence[str]
    batch_size: int
    seed: int
    jitter: Jitter
    threads: int = field(default_factory=available_cores)
    class_weights: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    """Weights (labels,) of a head's classes in training batches; 1 for a head that is not here."""
    lessons: Lessons | None = None
    """Gives teachers' answers a part in training targets; softening must follow."""
    softening: Softening | None = None
    """Makes training targets probabilities; None leaves them labels."""

    @property
    def training(self) -> npt.NDArray[np.intp]:
        """Indices of the samples to fit on."""
        return np.flatnonzero(~self.cache.validation)

    @property
    def steps(self) -> int:
        """Training batches an epoch; what does not fill a last batch waits for another epoch."""
        return max(1, len(self.training) // self.batch_size)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[CropBatch]:
        """Yield the epoch's batches from `first_step` on."""
        order = np.random.default_rng((self.seed, epoch)).permutation(self.training)
        yield from _prepare_ahead(
            lambda step: self._jittered(self._part(order, step), epoch, step),
            range(first_step, self.steps),
            self.threads,
        )

    def held_out(self) -> Iterator[CropBatch]:
        """Yield the validation set in order, without jitter."""
        yield from self.plain(np.flatnonzero(self.cache.validation))

    def plain(self, indices: npt.NDArray[np.intp]) -> Iterator[CropBatch]:
        """Yield the samples at these places in order, without jitter."""
        parts = [
            indices[start : start + self.batch_size]
            for start in range(0, len(indices), self.batch_size)
        ]
        yield from _prepare_ahead(self._plain, parts, self.threads)

    def _part(self, order: npt.NDArray[np.intp], step: int) -> npt.NDArray[np.intp]:
        return order[step * self.batch_size : (step + 1) * self.batch_size]

    def _plain(self, part: npt.NDArray[np.intp]) -> CropBatch:
        crops = [centre_crop(self.cache.crops[index], self.cache.size) for index in part]
        return self._batch(part, crops)

    def _jittered(self, part: npt.NDArray[np.intp], epoch: int, step: int) -> CropBatch:
        crops, training = [], self.training
        for index in part:
            rng = np.random.default_rng((self.seed, epoch, int(index)))
            # Not even as surroundings is a held-out image fitted on.
            other = self.cache.crops[rng.choice(training)]
            canvas, inside = self.cache.crops[index], self.cache.inside[index]
            crops.append(jitter_crop(canvas, inside, self.cache.size, self.jitter, rng, other))
        batch = self._weighted(self._batch(part, crops))
        targets, weights = batch.targets, batch.weights
        if self.lessons is not None:
            targets, weights = self.lessons.teach(targets, weights, part)
        if self.softening is None:
            return CropBatch(batch.images, targets, weights, indices=part)
        # A number more than for a sample's jitter (and none that is 0, which would not tell them
        # apart): no two draws share a generator.
        rng = np.random.default_rng((self.seed, epoch, step, 1))
        soft = self.softening.soften(batch.images, targets, weights, rng)
        return CropBatch(*soft, indices=part)

    def _weighted(self, batch: CropBatch) -> CropBatch:
        for name, weights in self.class_weights.items():
            batch.weights[name] *= weights[batch.targets[name].astype(int)]
        return batch

    def _batch(self, part: npt.NDArray[np.intp], crops: list[npt.NDArray[np.uint8]]) -> CropBatch:
        values = {name: self.cache.labels[name][part] for name in self.heads}
        return CropBatch(
            images=np.stack(crops).astype(np.float32),
            targets={name: np.nan_to_num(value) for name, value in values.items()},
            weights={name: (~np.isnan(value)).astype(np.float32) for name, value in values.items()},
            indices=part,
        )


def balance_classes(cache: CropCache, name: str) -> npt.NDArray[np.float32]:
    """Return weights (labels,) inverse to how frequent a head's classes are among training labels.

    Their mean over the labelled samples is 1; a class that never occurs weighs 0. Raises ValueError
    for a head without classes.
    """
    head = HEADS_BY_NAME[name]
    if head.kind == "regression":
        raise ValueError(f"{name} has no classes to balance.")
    labels = cache.labels[name][~cache.validation]
    known = labels[~np.isnan(labels)].astype(int)
    counts = np.bincount(known, minlength=len(head.labels))
    present = counts > 0
    fair = len(known) / max(1, int(present.sum()))
    return np.where(present, fair / np.maximum(counts, 1), 0).astype(np.float32)


def _prepare_ahead(
    prepare: Callable[[Any], CropBatch], parts: Sequence[Any], threads: int
) -> Iterator[CropBatch]:
    waiting: deque[Future[CropBatch]] = deque()
    remaining = iter(parts)
    with ThreadPoolExecutor(threads) as pool:
        for part in remaining:
            waiting.append(pool.submit(prepare, part))
            if len(waiting) > AHEAD + threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
