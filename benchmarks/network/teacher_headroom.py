"""Measure what a network and its teachers know together: how much is left to distil.

What `facetag teach` wrote of held-out images comes from machines that saw none of their labels. It
is mixed with the network's answers by a regression, fitted and measured in ten folds of these
images. Give the training shards.

    python -m benchmarks.network.teacher_headroom part-*.tar --taught runs/taught/taught-X.npz
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

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
from facetag.vision.network.calibration import to_logits
from facetag.vision.network.mirror_averaging import Outputs
from facetag_trainer.calibration.bundle_calibration import read_held_out_crops
from facetag_trainer.evaluation.weighted_metrics import measure_main
from facetag_trainer.retraining.outputs.fast_reader import compile_reader

FOLDS = 10
SEED = 1
SURE = 1e-4
"""Probabilities are held off 0 and 1 by this much."""
Values = npt.NDArray[np.float32]


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
            "The teachers were asked about other images: give the shards "
            "of which the file was made."
        ) from None


def compare(
    labels: Mapping[str, Values], network: Outputs, teachers: Outputs
) -> dict[str, tuple[float, float, float]]:
    """Return age RMSE or accuracy, by head: of the network, of the teachers, and together.

    Labels are (n,), NaN where missing; answers are (n, units) per head.
    """
    found = {}
    for name, values in labels.items():
        known = ~np.isnan(values)
        truth = values[known]
        own, taught = (of[name][known] for of in (network, teachers))
        answers = (own, taught, _mix(name, own, taught, truth))
        equal = np.ones((1, len(truth)))
        one, two, three = (float(measure_main(name, truth, of, equal)[0]) for of in answers)
        found[name] = (one, two, three)
    return found


def _mix(name: str, own: Values, taught: Values, truth: Values) -> Values:
    """Return a head's outputs (n, units), each from a regression fitted on the other folds."""
    kind = HEADS_BY_NAME[name].kind
    folds = KFold(FOLDS, shuffle=True, random_state=SEED)
    if kind == "regression":
        ages = cross_val_predict(LinearRegression(), np.hstack([own, taught]), truth, cv=folds)
        return np.asarray(ages[:, None])
    logits = [to_logits(name, values.clip(SURE, 1 - SURE)) for values in (own, taught)]
    shares = cross_val_predict(
        LogisticRegression(max_iter=5000),
        np.hstack(logits),
        truth.astype(int),
        cv=folds,
        method="predict_proba",
    )
    return np.asarray(shares[:, 1:] if kind == "binary" else shares)


if __name__ == "__main__":
    main()
