"""`facetag evaluate --corrupt`: what a bundle's answers are worth where photos are poor."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facetag.errors import ShardUnreadable
from facetag.heads import AGE
from facetag.settings import AskedPrecision, Settings
from facetag.vision.bundle import Bundle
from facetag_trainer.data.labels import LabelValues, label_arrays
from facetag_trainer.data.shards import Sample, read_shards
from facetag_trainer.evaluation.bundle_evaluation import FaceReader, batches, decode_sample
from facetag_trainer.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from facetag_trainer.evaluation.table_1_metrics import measure_heads


def evaluate_corrupted(
    bundle: Bundle,
    shards: Sequence[Path],
    settings: Settings,
    *,
    images: int,
    precision: AskedPrecision = "float32",
    on_progress: Callable[[int], None] = lambda done: None,
) -> dict[str, dict[str, Any]]:
    """Return the measures a head by corruption, over its strengths, for a fixed set of images.

    The images are those of the least SHA-256, `images` at most. "none" stands for them as they are,
    "mean" for the mean over the corruptions. Raises what `evaluate_bundle` raises.
    """
    found = [item for item in read_shards(shards) if isinstance(item, Sample)]
    samples = sorted(found, key=lambda sample: sample.sha256)[:images]
    if not samples:
        raise ShardUnreadable("No image of these shards carries a valid label.")
    reader = FaceReader(bundle, settings, bare=False, precision=precision)
    photos = [decode_sample(sample, settings) for sample in samples]
    labels = label_arrays(samples, bundle.spec.heads)
    age_range = bundle.age_range if AGE.name in bundle.spec.heads else None

    def measure_all(ways: Sequence[tuple[str, int] | None]) -> dict[str, Any]:
        outputs: dict[str, list[LabelValues]] = {name: [] for name in bundle.spec.heads}
        for way in ways:
            for places in batches(range(len(photos))):
                shown = [
                    photos[place] if way is None else corrupt(photos[place], *way, place)
                    for place in places
                ]
                those = [samples[place] for place in places]
                for name, values in reader.read(those, shown)[0].items():
                    outputs[name].append(values)
                on_progress(len(places))
        tiled = {name: np.tile(values, len(ways)) for name, values in labels.items()}
        joined = {name: np.concatenate(values) for name, values in outputs.items()}
        return measure_heads(tiled, joined, age_range)

    table = {"none": measure_all([None])}
    for kind in CORRUPTIONS:
        table[kind] = measure_all([(kind, strength) for strength in STRENGTHS])
    kinds = [table[kind] for kind in CORRUPTIONS]
    table["mean"] = {
        head: {name: _mean([row[head][name] for row in kinds]) for name in measures}
        for head, measures in kinds[0].items()
    }
    return table


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
