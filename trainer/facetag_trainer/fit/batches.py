"""Batches of crops from the cache, in an order that depends on seed and epoch alone."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.cpu import available_cores
from facetag.heads import HEADS_BY_NAME
from facetag_trainer.data.augmentation import Jitter, centre_crop, jitter_crop
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.photo_style import StyleTransfer
from facetag_trainer.fit.distillation import Lessons
from facetag_trainer.fit.mixup import Softening

AHEAD = 4
"""Batches that wait prepared while one is computed, besides those that threads work on."""


@dataclass(frozen=True, slots=True)
class CropBatch:
    """Images float32 (n, size, size, 3) in 0..255; targets and weights (n,) per head."""

    images: npt.NDArray[np.float32]
    targets: dict[str, npt.NDArray[np.float32]]
    weights: dict[str, npt.NDArray[np.float32]]
    """0 where the label is missing, so that the head learns nothing from the sample."""
    indices: npt.NDArray[np.intp]
    """Indices of the samples in the cache."""


@dataclass(frozen=True, slots=True)
class Feeder:
    """Make the jittered batches of an epoch, and plain batches of the held-out images."""

    cache: CropCache
    heads: Sequence[str]
    batch_size: int
    seed: int
    jitter: Jitter
    threads: int = field(default_factory=available_cores)
    class_weights: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    """Weights (labels,) of a head's classes in training batches; heads that are absent have 1."""
    lessons: Lessons | None = None
    """Blends teachers' answers into training targets; needs `softening`."""
    softening: Softening | None = None
    """Turns training targets into probabilities; None keeps labels."""
    spread: npt.NDArray[np.bool_] | None = None
    """Samples (n,) that are each seen in one of the `epochs` alone; None has all in every epoch."""
    epochs: int = 1
    transfer: StyleTransfer | None = None
    """Shows some training samples in the style of others; None shows all as they are."""

    @property
    def training(self) -> npt.NDArray[np.intp]:
        """Indices of the training samples."""
        return np.flatnonzero(~self.cache.validation)

    @property
    def steps(self) -> int:
        """Training batches per epoch; samples that do not fill a last batch are left out."""
        return max(1, len(self._choose(0)) // self.batch_size)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[CropBatch]:
        """Yield the epoch's batches from `first_step` on."""
        order = np.random.default_rng((self.seed, epoch)).permutation(self._choose(epoch))
        yield from _prepare_ahead(
            lambda step: self._jittered(self._part(order, step), epoch, step),
            range(first_step, self.steps),
            self.threads,
        )

    def shown_once(self, members: npt.NDArray[np.bool_]) -> Iterator[CropBatch]:
        """Yield the samples of `spread` in a mask (n,) as `epoch` shows them, with their labels."""
        for epoch in range(self.epochs):
            mine = self._spread_over(epoch)
            mine = mine[members[mine]]
            parts = [
                mine[start : start + self.batch_size]
                for start in range(0, len(mine), self.batch_size)
            ]
            yield from _prepare_ahead(partial(self._views, epoch), parts, self.threads)

    def held_out(self) -> Iterator[CropBatch]:
        """Yield the held-out images in order, without jitter."""
        yield from self.plain(np.flatnonzero(self.cache.validation))

    def plain(self, indices: npt.NDArray[np.intp]) -> Iterator[CropBatch]:
        """Yield the samples with these indices in order, without jitter."""
        parts = [
            indices[start : start + self.batch_size]
            for start in range(0, len(indices), self.batch_size)
        ]
        yield from _prepare_ahead(self._plain, parts, self.threads)

    def _choose(self, epoch: int) -> npt.NDArray[np.intp]:
        """Return the training samples of an epoch; every epoch has as many."""
        training = self.training
        if self.spread is None or self.epochs == 1:
            return training
        mine = self._spread_over(epoch)[: int(self.spread[training].sum()) // self.epochs]
        return np.concatenate([training[~self.spread[training]], mine])

    def _spread_over(self, epoch: int) -> npt.NDArray[np.intp]:
        """Return the samples of `spread` that fall to an epoch; some epochs get one more."""
        training = self.training
        chosen = training if self.spread is None else training[self.spread[training]]
        return np.random.default_rng(self.seed).permutation(chosen)[epoch :: self.epochs]

    def _part(self, order: npt.NDArray[np.intp], step: int) -> npt.NDArray[np.intp]:
        return order[step * self.batch_size : (step + 1) * self.batch_size]

    def _plain(self, part: npt.NDArray[np.intp]) -> CropBatch:
        crops = [centre_crop(self.cache.crops[index], self.cache.size) for index in part]
        return self._batch(part, crops)

    def _views(self, epoch: int, part: npt.NDArray[np.intp]) -> CropBatch:
        crops, training = [], self.training
        for index in part:
            rng = np.random.default_rng((self.seed, epoch, int(index)))
            # Held-out images must not serve as surroundings either.
            other = self.cache.crops[rng.choice(training)]
            canvas, inside = self.cache.crops[index], self.cache.inside[index]
            if self.transfer is not None:
                canvas = self.transfer.show(index, canvas)
            crops.append(jitter_crop(canvas, inside, self.cache.size, self.jitter, rng, other))
        return self._batch(part, crops)

    def _jittered(self, part: npt.NDArray[np.intp], epoch: int, step: int) -> CropBatch:
        batch = self._weighted(self._views(epoch, part))
        targets, weights = batch.targets, batch.weights
        if self.lessons is not None:
            targets, weights = self.lessons.teach(targets, weights, part)
        if self.softening is None:
            return CropBatch(batch.images, targets, weights, indices=part)
        # One number more than for a sample's jitter, so that no two draws share a generator. It
        # must not be 0, since trailing zeros do not change a seed.
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
    """Return weights (labels,) that are inverse to the frequency of a head's classes in training.

    Their mean over the labelled samples is 1; a class that never occurs has weight 0. Raises
    ValueError for a head without classes.
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
