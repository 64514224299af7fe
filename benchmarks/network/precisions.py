"""Measure what the network of attributes costs in each precision, and how far the answers agree.

The program uses the held-out faces of the bundle's crop cache, never a test set.

    python -m benchmarks.network.precisions --cache .cache

\b
ms per face            CPU time in batches, with mirror images where the bundle says so
ages, genders, races   the share that is within a year of float32's, or equal to it
"""

import time
from pathlib import Path
from typing import get_args

import click
import numpy as np

from benchmarks.harness.machine import describe_machine, in_words
from facetag.settings import load_settings
from facetag.vision.bundle import open_bundle
from facetag.vision.inference.compiled_network import CompiledNetwork
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.inference.openvino_conversion import convert_bundle
from facetag.vision.inference.precision import Precision
from facetag.vision.network.mirror_averaging import Outputs
from facetag_trainer.calibration.bundle_calibration import find_cache
from facetag_trainer.data.augmentation import centre_crop
from facetag_trainer.evaluation.table_1_metrics import table_1

WARM_UP = 16


@click.command(help=__doc__)
@click.option("--model", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Folder of the bundle; by default the one that ships.")  # fmt: skip
@click.option("--cache", type=click.Path(path_type=Path, exists=True, file_okay=False),
              required=True, help="Folder of crop caches of `facetag calibrate`.")  # fmt: skip
def main(model: Path | None, cache: Path) -> None:
    """Predict the faces in each precision, and print a line per precision."""
    slots = CpuSlots.for_lanes(1)
    slots.limit_tensorflow()
    bundle = open_bundle(model)
    crops = find_cache(cache, bundle, load_settings())
    held_out = np.flatnonzero(crops.validation)
    faces = np.stack([centre_crop(crops.crops[index], crops.size) for index in held_out])
    labels = {name: crops.labels[name][held_out] for name in bundle.spec.heads}
    click.echo(in_words(describe_machine()))
    click.echo(f"{bundle.version}, {len(faces)} held-out faces of {crops.size} pixels")
    exact: Outputs | None = None
    for precision in get_args(Precision):
        raw, ms = _read(convert_bundle(bundle, precision=precision, slots=slots), faces)
        outputs = bundle.calibration.apply(raw)
        exact = exact or outputs
        table = table_1(labels, outputs)
        click.echo(
            f"{precision}: {ms:.1f} ms per face; age RMSE {table['age']['rmse']:.3f}, "
            f"gender {table['gender']['accuracy']:.4f} (AUC {table['gender']['auc']:.5f}), "
            f"race {table['race']['accuracy']:.4f}; as in float32: {_agreement(outputs, exact)}"
        )


def _read(network: CompiledNetwork, faces: np.ndarray) -> tuple[Outputs, float]:
    """Return the outputs and the CPU milliseconds per face."""
    network.predict(faces[:WARM_UP])
    started = time.process_time()
    outputs = network.predict(faces)
    return outputs, 1000 * (time.process_time() - started) / len(faces)


def _agreement(outputs: Outputs, exact: Outputs) -> str:
    ages = np.abs(outputs["age"] - exact["age"]) <= 1
    genders = (outputs["gender"] >= 0.5) == (exact["gender"] >= 0.5)
    races = outputs["race"].argmax(axis=1) == exact["race"].argmax(axis=1)
    return f"ages {ages.mean():.2%}, genders {genders.mean():.2%}, races {races.mean():.2%}"


if __name__ == "__main__":
    main()
