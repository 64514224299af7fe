"""Choose weights on the line between the champion and a candidate fitted from it (WiSE-FT).

A point between both often keeps what the champion knows and most of what the candidate has learnt
(Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", arXiv:2109.01903). The point is
chosen on the validation parts of earlier and new images, which the promotion gate does not use: it
gains most on new images among those that lose no more on earlier ones than is allowed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from facetag.heads import HEADS_BY_NAME
from facetag.vision.bundle import Bundle
from facetag.vision.network.attributes import build_network
from facetag.vision.network.backbones import freeze_layers
from facetag.vision.network.calibration import Values, at_temperature
from facetag.vision.network.mirror_averaging import Mirroring, Outputs
from facetag_trainer.calibration.bundle_calibration import fit_temperature, read_held_out_crops
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.splits import VALIDATION, split_held_out
from facetag_trainer.evaluation.bootstrap import Weights, draw_beside_all
from facetag_trainer.evaluation.calibration_error import chosen_labels
from facetag_trainer.evaluation.weighted_metrics import measure_main
from facetag_trainer.fit.batches import Feeder
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.weight_averaging import retake_statistics
from facetag_trainer.retraining.gate.loss_bounds import NEW, SERVED_EARLIER, Serves
from facetag_trainer.retraining.outputs.fast_reader import compile_reader

POINTS = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0)
"""Shares of the candidate: 0 would be the champion, 1 is the candidate."""
STATISTICS_BATCHES = 20
"""Training batches from which a point's batch norms take their statistics anew."""
ALLOWED: Mapping[Serves, Mapping[str, float]] = {
    "both": {"age": 0.05, "gender": 0.002, "race": 0.002},
    "new": {"age": 0.25, "gender": 0.01, "race": 0.01},
    "earlier": {"age": 0.0, "gender": 0.0, "race": 0.0},
}
"""Largest loss on earlier images in all retrainings by what is served, in years of RMSE or as a
share of labels. A point is beyond it if its loss is by more than one standard error (Breiman et al.
1984, chapter 3): validation images are few, and the promotion gate has the last word."""
LEAST_ERROR = 1e-3
"""Smaller errors, of a few images that are all read rightly, count as this one."""
FEWEST = 20
"""With fewer labelled images a head's error says too little."""


@dataclass(frozen=True, slots=True)
class Loss:
    """How much worse a head has become, in years of RMSE or as a share of labels."""

    value: float
    error: float
    """The standard error of the value."""


@dataclass(frozen=True, slots=True)
class Point:
    """A share of the candidate, and what its choice rests on."""

    share: float
    lost: Mapping[str, Loss]
    """Loss on earlier images by head."""
    new: float
    """Error on new images as a share of the champion's."""

    def excess(self, allowed: Mapping[str, float]) -> float:
        """Return the largest loss beyond what is allowed, as a share of the gate's margin."""
        beyond = (
            (loss.value - loss.error - allowed[head]) / SERVED_EARLIER.margin(head, group=False)
            for head, loss in self.lost.items()
        )
        return max(beyond, default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Return the point as a manifest states it."""
        lost = {
            head: {"value": round(loss.value, 4), "standard_error": round(loss.error, 4)}
            for head, loss in self.lost.items()
        }
        return {"share": self.share, "lost": lost, NEW: round(self.new, 4)}


def choose_point(
    champion: Bundle,
    candidate: Bundle,
    joined: CropCache,
    is_new: npt.NDArray[np.bool_],
    *,
    allowed: Mapping[str, float],
    fit: FitPlan,
    feeder: Feeder,
    on_point: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[keras.Model, Point, list[Point]]:
    """Return the network of the chosen point in float32, the point, and all points.

    `is_new` marks the new images (n,) of the joined cache; `feeder` gives the batches from which
    batch norms that are not frozen take their statistics.
    """
    spec, network = champion.spec, build_network(champion.spec)
    start, end = (bundle.load_network().get_weights() for bundle in (champion, candidate))
    freeze_layers(network, spec.backbone, fit.frozen_layers, norms=fit.frozen_norms)
    judges = find_validation(joined)
    sides = (~is_new[judges], is_new[judges])
    labels = {name: joined.labels[name][judges] for name in spec.heads}

    held_out = replace(joined, validation=np.isin(np.arange(len(joined.validation)), judges))

    def predict() -> Outputs:
        return read_held_out_crops(compile_reader(network, spec, Mirroring()), spec, held_out)

    network.set_weights(start)
    before = predict()
    points, statistics = [], {}
    for done, share in enumerate(POINTS, 1):
        network.set_weights(_mix(start, end, share))
        if share < 1:
            retake_statistics(network, _draw_images(feeder))
        statistics[share] = network.get_weights()
        after = predict()
        mine, fresh = (
            [_take(one, members) for one in (labels, before, after)] for members in sides
        )
        points.append(Point(share, estimate_losses(*mine), compare_errors(*fresh)))
        on_point(done, len(POINTS))
    chosen = choose(points, allowed)
    network.set_weights(statistics[chosen.share])
    return network, chosen, points


def choose(points: Sequence[Point], allowed: Mapping[str, float]) -> Point:
    """Return the best point on new images among those that lose no more than is allowed.

    Of points that are alike there, as where too few new images validate, it is the largest share.
    If all lose more, it is the one that loses least beyond it.
    """
    bearable = [point for point in points if point.excess(allowed) <= 0]
    if not bearable:
        return min(points, key=lambda point: point.excess(allowed))
    return min(bearable, key=lambda point: (point.new, -point.share))


def find_allowance(serves: Serves, lost: Mapping[str, float]) -> dict[str, float]:
    """Return by head what may still be lost after what earlier retrainings have `lost`.

    Otherwise every round would lose a little, and many rounds much.
    """
    return {head: max(0.0, most - lost.get(head, 0.0)) for head, most in ALLOWED[serves].items()}


def add_losses(lost: Mapping[str, float], point: Point) -> dict[str, float]:
    """Return by head what all retrainings have lost with that of a chosen point; gains count.

    A head that was not measured keeps what it had lost.
    """
    now = {
        head: round(max(0.0, lost.get(head, 0.0) + loss.value), 4)
        for head, loss in point.lost.items()
    }
    return {**lost, **now}


def estimate_losses(labels: Outputs, before: Outputs, after: Outputs) -> dict[str, Loss]:
    """Return per head how much worse the outputs are, with a bootstrap's standard error.

    Of few images, accuracies say little. The cross entropy tells more, and wrong labels are about
    as many times more as it is. Heads with too few labels are left out.
    """
    losses = {}
    for head, truth, (mine, other) in _known(labels, before, after):
        weights = draw_beside_all(len(truth), head)
        old, new = (_error(head, truth, output, weights) for output in (mine, other))
        lost = new - old
        if HEADS_BY_NAME[head].kind != "regression":
            lost *= float((chosen_labels(head, mine) != truth).mean()) / old
        losses[head] = Loss(float(lost[0]), float(lost[1:].std()))
    return losses


def compare_errors(labels: Outputs, before: Outputs, after: Outputs) -> float:
    """Return the mean over the heads of the error after as a share of the error before.

    The share is 1 if no head has enough labels.
    """
    shares = []
    for head, truth, outputs in _known(labels, before, after):
        old, new = (_error(head, truth, one, np.ones((1, len(truth)))) for one in outputs)
        shares.append(float(new[0] / old[0]))
    return float(np.mean(shares)) if shares else 1.0


def _known(
    labels: Outputs, before: Outputs, after: Outputs
) -> Iterator[tuple[str, Values, tuple[Values, Values]]]:
    """Yield the heads with enough labels: their labels (n,), and both outputs (n, units)."""
    for head, truth in labels.items():
        known = ~np.isnan(truth)
        if known.sum() >= FEWEST:
            yield head, truth[known], (before[head][known], after[head][known])


def find_validation(cache: CropCache) -> npt.NDArray[np.intp]:
    """Return the indices of the validation part of a cache's held-out images."""
    held_out = np.flatnonzero(cache.validation)
    return held_out[split_held_out(cache.hashes[held_out]) == VALIDATION]


def _error(head: str, truth: Values, output: Values, weights: Weights) -> Weights:
    """Return the error (b,) for each weighting (b, n) of the images.

    It is the RMSE of ages, and the cross entropy of other heads at the temperature that fits best:
    smoother than accuracies, so that few images can tell points apart.
    """
    if HEADS_BY_NAME[head].kind == "regression":
        return np.maximum(measure_main(head, truth, output, weights), LEAST_ERROR)
    probability = at_temperature(head, output, fit_temperature(head, truth, output))
    if HEADS_BY_NAME[head].kind == "binary":
        right = np.where(truth == 1, probability[:, 0], 1 - probability[:, 0])
    else:
        right = probability[np.arange(len(truth)), truth.astype(int)]
    entropy = -np.log(np.maximum(right, 1e-12))
    return np.maximum(weights @ entropy / weights.sum(axis=1), LEAST_ERROR)


def _mix(start: Sequence[Values], end: Sequence[Values], share: float) -> list[Values]:
    if share == 1:
        return list(end)
    return [(1 - share) * old + share * new for old, new in zip(start, end, strict=True)]


def _draw_images(feeder: Feeder) -> Iterator[npt.NDArray[np.float32]]:
    drawn = np.random.default_rng(feeder.seed).permutation(feeder.training)
    chosen = drawn[: STATISTICS_BATCHES * feeder.batch_size]
    return (batch.images for batch in feeder.plain(chosen))


def _take(values: Mapping[str, Values], members: npt.NDArray[np.bool_]) -> Outputs:
    return {name: value[members] for name, value in values.items()}
