"""Crop caches made without a detector, for tests of what comes after the cache."""

import json

import numpy as np

from facetag.heads import HEADS
from facetag.settings import Settings
from facetag.vision.crop import UprightCrop
from facetag_trainer.data.crop_cache import detector_facts, open_cache

SIZE, CANVAS = 32, 40


def write_tiny_cache(folder, *, count=60, held_out=12, labels=None, seed=0):
    """Write and open a cache of noise whose brightness tells the age; 5 of 6 are labelled."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    ages = rng.uniform(5, 80, count).astype(np.float32)
    crops = (
        rng.integers(0, 60, (count, CANVAS, CANVAS, 3))
        + (2 * ages).astype(int)[:, None, None, None]
    )
    np.save(folder / "crops.npy", crops.astype(np.uint8))
    columns = {
        "age": ages,
        "gender": rng.integers(0, 2, count).astype(np.float32),
        "race": np.where(np.arange(count) % 6 == 0, np.nan, rng.integers(0, 5, count)),
        **(labels or {}),
    }
    np.savez(
        folder / "table.npz",
        inside=np.tile(np.float32([[5, 5], [35, 5], [35, 35], [5, 35]]), (count, 1, 1)),
        validation=np.arange(count) < held_out,
        hashes=np.random.default_rng(1).integers(0, 256, (count, 32), np.uint8),
        **{head.name: np.asarray(columns[head.name], np.float32) for head in HEADS},
    )
    facts = {
        "size": SIZE,
        "crop": UprightCrop().to_json(),
        "detector": detector_facts(Settings()),
        "n": count,
        "faceless": 0,
        "shards": {"part.tar": "ab" * 32},
        "dropped": {},
    }
    (folder / "cache.json").write_text(json.dumps(facts))
    return open_cache(folder)
