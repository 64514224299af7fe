"""Ask what a network and its teachers know together, so how much is left to distil.

What `facetag teach` wrote of held-out images comes from machines that saw none of their labels. It
is mixed with the network's answers by a regression, fitted and measured in ten folds of these
images. Give the training shards.

    python -m benchmarks.network.teacher_headroom part-*.tar --taught runs/taught/taught-X.npz
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict

from benchmarks.harness.machine import describe_machine, in_words
from benchmarks.network.judging_cache import cut_to_judge
from facetag.errors import FacetagError
from facetag.heads import HEADS_BY_NAME
from facetag.settings import load_settings
from facetag.vision.bundle import open_bundle
from facetag.vision.difference_hash import Hashes
from facetag.vision.network.mirror_averaging import Outputs
from facetag_trainer.calibration.bundle_calibration import read_held_out_crops
from facetag_trainer.retraining.outputs.fast_reader import compile_reader

FOLDS = 10
SEED = 1
SURE = 1e-4
"""Probabilities are held off 0 and 1 by this much."""
Values = npt.NDArray[np.float64]


@click.command(help=__doc__)
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--taught", required=True, type=click.Path(path_type=Path, exists=True),
              help="What `facetag teach` wrote of the shards.")  # fmt: skip
@click.option("--bundle", type=click.Path(path_type=Path, exists=True), help="The network's.")
@click.option("--cache", type=click.Path(path_type=Path), default=Path(".cache"),
              help="Folder of crop caches.")  # fmt: skip
def main(shards: Sequence[Path], taught: Path, bundle: Path | None, cache: Path) -> None:
    """Print age RMSE and accuracies of the network, of the teachers, and of both together."""
    opened = open_bundle(bundle)
    crops = cut_to_judge(shards, cache, opened, load_settings())
    read = compile_reader(opened.load_network(), opened.spec, opened.mirror)
    network = read_held_out_crops(read, opened.spec, crops, spoil=False)
    with np.load(taught) as kept:
        places = find_images(kept["hashes"], crops.hashes[crops.validation])
        teachers = {name: kept[name][places] for name in network}
    labels = {name: crops.labels[name][crops.validation] for name in network}
    click.echo(f"{in_words(describe_machine())}; {opened.version}, {len(places)} held-out images")
    click.echo("             network  teachers  together")
    for name, figures in compare(labels, network, teachers).items():
        click.echo(f"{name:12} " + "  ".join(f"{value:8.4f}" for value in figures))


def find_images(hashes: Hashes, wanted: Hashes) -> npt.NDArray[np.intp]:
    """Return where each of `wanted` (m, 32) stands in `hashes` (n, 32).

    Raises FacetagError if one is missing.
    """
    places = {one.tobytes(): place for place, one in enumerate(hashes)}
    try:
        return np.array([places[one.tobytes()] for one in wanted], np.intp)
    except KeyError:
        raise FacetagError(
            "The teachers were asked about other images: give these shards."
        ) from None


def compare(
    labels: Mapping[str, npt.NDArray[np.float32]], network: Outputs, teachers: Outputs
) -> dict[str, tuple[float, float, float]]:
    """Return age RMSE or accuracy, by head: of the network, of the teachers, and together.

    Labels are (n,), NaN where missing; answers are (n, units) per head.
    """
    found = {}
    for name, values in labels.items():
        known = ~np.isnan(values)
        truth = values[known].astype(float)
        answers = [_as_numbers(name, of[name][known]) for of in (network, teachers)]
        own, taught = (_measure(name, truth, _choose(name, one)) for one in answers)
        found[name] = (own, taught, _measure(name, truth, _mix(name, np.hstack(answers), truth)))
    return found


def _as_numbers(name: str, answers: npt.NDArray[np.float32]) -> Values:
    """Return ages as they are, and probabilities as logits or logarithms."""
    values = answers.astype(float)
    if HEADS_BY_NAME[name].kind == "regression":
        return values
    values = values.clip(SURE, 1 - SURE)
    return np.log(values / (1 - values)) if HEADS_BY_NAME[name].kind == "binary" else np.log(values)


def _choose(name: str, numbers: Values) -> npt.NDArray[Any]:
    kind = HEADS_BY_NAME[name].kind
    if kind == "regression":
        return numbers[:, 0]
    return numbers[:, 0] > 0 if kind == "binary" else numbers.argmax(axis=1)


def _mix(name: str, numbers: Values, truth: Values) -> Any:
    folds = KFold(FOLDS, shuffle=True, random_state=SEED)
    if HEADS_BY_NAME[name].kind == "regression":
        return cross_val_predict(LinearRegression(), numbers, truth, cv=folds)
    machine = LogisticRegression(max_iter=5000)
    return cross_val_predict(machine, numbers, truth.astype(int), cv=folds)


def _measure(name: str, truth: Values, chosen: npt.NDArray[Any]) -> float:
    if HEADS_BY_NAME[name].kind == "regression":
        return float(np.sqrt(np.square(chosen - truth).mean()))
    return float((chosen == truth).mean())


if __name__ == "__main__":
    main()
