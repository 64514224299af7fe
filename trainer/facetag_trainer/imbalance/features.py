"""Compute the pooled features of all crops of a cache once, so that heads are fitted in seconds.

They are kept in a folder whose name follows from everything that decides them, so stale features
are never used: `values.npy` (n, width) float32 in the cache's order, and `features.json` with the
number of images that are done.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from facetag.atomic_write import atomic_write
from facetag.vision.network.attributes import take_features
from facetag_trainer.data.augmentation import Jitter
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.disk_array import make_array, sole_writer
from facetag_trainer.fit.batches import Feeder
from facetag_trainer.fit.training_run import TrainingPlan, start_network
from facetag_trainer.imbalance.imbalance_plan import digest_of

Features = npt.NDArray[np.float32]
BATCH = 64
CHUNK = 8 * BATCH
"""Images between two writes of the number that is done: at most so many are lost by a kill."""


def features_key(plan: TrainingPlan, cache: CropCache) -> str:
    """Return a name that follows from network, weights, precision, crops and their order."""
    stated = plan.to_json()
    start = None if plan.start is None else plan.start.manifest["weights_sha256"]
    return digest_of(
        {
            "backbone": plan.spec.backbone,
            "precision": plan.precision,
            "weights": start or stated["starting_weights"],
            "cache": {name: cache.facts[name] for name in ("shards", "crop", "size", "n")},
            "hashes": hashlib.sha256(cache.hashes.tobytes()).hexdigest(),
        }
    )


def compute_features(
    plan: TrainingPlan,
    cache: CropCache,
    folder: Path,
    *,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Features:
    """Return the features (n, width) of all crops without jitter; they stay on disk.

    An interrupted computation in the folder is resumed. `on_progress` gets the images done. Raises
    DiskFull.
    """
    with sole_writer(folder):
        count, done = len(cache.crops), _read_done(folder)
        if done < count:
            network = take_features(start_network(plan), plan.spec)
            values = _open_values(folder, done, (count, network.output.shape[-1]))
            for start in range(done, count, CHUNK):
                end = min(start + CHUNK, count)
                values[start:end] = _read_crops(network, cache, start, end)
                values.flush()
                _note_done(folder, end)
                on_progress(end)
    return np.load(folder / "values.npy", mmap_mode="r")


def _read_crops(network: keras.Model, cache: CropCache, start: int, end: int) -> Features:
    feeder = Feeder(cache, (), BATCH, seed=0, jitter=Jitter())
    batches = feeder.plain(np.arange(start, end))
    outputs = [np.asarray(network.predict_on_batch(batch.images)) for batch in batches]
    return np.concatenate(outputs).astype(np.float32)


def _open_values(folder: Path, done: int, shape: tuple[int, int]) -> Any:
    path = folder / "values.npy"
    if done:
        return np.load(path, mmap_mode="r+")
    return make_array(path, np.float32, shape)


def _read_done(folder: Path) -> int:
    path = folder / "features.json"
    return int(json.loads(path.read_text())["done"]) if path.exists() else 0


def _note_done(folder: Path, done: int) -> None:
    atomic_write(folder / "features.json", json.dumps({"done": done}), sole_writer=True)
