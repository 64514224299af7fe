"""Choose weights on the line between the champion and a candidate fitted from it (WiSE-FT).

A point between both often keeps what the champion knows and most of what the candidate has learnt
(Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", arXiv:2109.01903). The point is
chosen on the validation parts of earlier and new images, which the promotion gate does not use.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

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
from facetag_trainer.fit.batches import Feeder
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.weight_averaging import retake_statistics
from facetag_trainer.retraining.fast_reader import compile_reader
from facetag_trainer.retraining.gate.loss_bounds import EARLIER, NEW, Serves

POINTS = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0)
"""Shares of the candidate: 0 would be the champion, 1 is the candidate."""
STATISTICS_BATCHES = 20
"""Training batches from which a point's batch norms take their statistics anew."""
TOLERATED = {"both": 1.005, "new": 1.05, "earlier": 1.0}
"""Largest error on earlier images, as a share of the champion's, by what is served."""
LEAST_ERROR = 1e-3
"""Smaller errors, of a few images that are all read rightly, count as this one."""
FEWEST = 20
"""With fewer labelled images a head's error says too little."""


@dataclass(frozen=True, slots=True)
class Point:
    """A share of the candidate, and its errors as shares of the champion's."""

    share: float
    earlier: float
    new: float

    def to_json(self) -> dict[str, float]:
        """Return the point as a manifest states it."""
        return {"share": self.share, EARLIER: round(self.earlier, 4), NEW: round(self.new, 4)}


def choose_point(
    champion: Bundle,
    candidate: Bundle,
    joined: CropCache,
    is_new: npt.NDArray[np.bool_],
    *,
    serves: Serves,
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
    sides = {EARLIER: ~is_new[judges], NEW: is_new[judges]}
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
        errors = {
            side: compare_errors(_take(labels, mine), _take(before, mine), _take(after, mine))
            for side, mine in sides.items()
        }
        points.append(Point(share, errors[EARLIER], errors[NEW]))
        on_point(done, len(POINTS))
    chosen = choose(points, serves)
    network.set_weights(statistics[chosen.share])
    return network, chosen, points


def choose(points: Sequence[Point], serves: Serves) -> Point:
    """Return the best point for what is served, among those that lose little enough elsewhere."""
    bearable = [point for point in points if point.earlier <= TOLERATED[serves]]
    if not bearable or serves == "earlier":
        return min(points, key=lambda point: point.earlier)
    return min(bearable, key=lambda point: point.new)


def compare_errors(labels: Outputs, before: Outputs, after: Outputs) -> float:
    """Return the mean over the heads of the error after as a share of the error before.

    Errors are the RMSE of ages and the cross entropy of the other heads at the temperature that
    fits each best: smoother than accuracies, so that few images can tell points apart. Labels (n,)
    may hold NaN. The share is 1 if no head has enough labels.
    """
    shares = []
    for head, truth in labels.items():
        known = ~np.isnan(truth)
        if known.sum() < FEWEST:
            continue
        old, new = (_error(head, truth[known], one[head][known]) for one in (before, after))
        shares.append(max(new, LEAST_ERROR) / max(old, LEAST_ERROR))
    return float(np.mean(shares)) if shares else 1.0


def find_validation(cache: CropCache) -> npt.NDArray[np.intp]:
    """Return the indices of the validation part of a cache's held-out images."""
    held_out = np.flatnonzero(cache.validation)
    return held_out[split_held_out(cache.hashes[held_out]) == VALIDATION]


def _error(head: str, truth: Values, output: Values) -> float:
    if HEADS_BY_NAME[head].kind == "regression":
        return float(np.sqrt(np.mean((output[:, 0] - truth) ** 2)))
    probability = at_temperature(head, output, fit_temperature(head, truth, output))
    if HEADS_BY_NAME[head].kind == "binary":
        right = np.where(truth == 1, probability[:, 0], 1 - probability[:, 0])
    else:
        right = probability[np.arange(len(truth)), truth.astype(int)]
    return float(-np.log(np.maximum(right, 1e-12)).mean())


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
