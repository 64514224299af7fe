"""Compare treatments of class imbalance on held-out images, as the student paper asks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facetag.heads import HEADS_BY_NAME
from facetag.vision.bundle import Bundle
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.fit.training_run import TrainingPlan
from facetag_trainer.imbalance.bundle_outputs import describe_whole, read_whole, require_same_images
from facetag_trainer.imbalance.comparison_table import HEAD_ALONE, ImbalanceComparison, make_rows
from facetag_trainer.imbalance.features import Features, compute_features, features_key
from facetag_trainer.imbalance.head_fit import fit_head, read_features, save_outputs
from facetag_trainer.imbalance.imbalance_plan import METHODS, ImbalancePlan, Method
from facetag_trainer.imbalance.minority_measures import HeadOutputs
from facetag_trainer.imbalance.training_examples import Sides, find_sides, take_examples, treat

Ways = dict[tuple[str, Method], list[HeadOutputs]]


@dataclass(frozen=True, slots=True)
class ComparisonWatcher:
    """Callbacks that get how many images have features, and how many heads are fitted."""

    on_features: Callable[[int, int], None] = lambda done, total: None
    on_fit: Callable[[int, int], None] = lambda done, total: None


def compare_methods(
    plan: ImbalancePlan,
    network: TrainingPlan,
    cache: CropCache,
    run: Path,
    *,
    whole: Sequence[tuple[Bundle, CropCache]] = (),
    watcher: ComparisonWatcher | None = None,
) -> ImbalanceComparison:
    """Fit heads by every method on the features of `network`, and measure `whole` networks too.

    Results are kept below `run`, from which an interrupted comparison is resumed. Each whole
    network comes with the crops of its size. Raises FacetagError if too few images are labelled for
    one of the sides or for SMOTE, and if a whole network lacks the head.
    """
    watcher = watcher or ComparisonWatcher()
    sides = find_sides(cache, plan.head)
    ways = [describe_whole(bundle, plan.head) for bundle, _ in whole]
    require_same_images(cache, [crops for _, crops in whole])
    folder = run / features_key(network, cache)
    features = compute_features(
        network,
        cache,
        folder,
        on_progress=lambda done: watcher.on_features(done, len(cache.crops)),
    )
    fits = _fit_heads(plan, network, cache, features, sides, folder, watcher.on_fit)
    for way, (bundle, crops) in zip(ways, whole, strict=True):
        fits.setdefault(way, []).append(read_whole(bundle, plan.head, crops, sides.judged))
    labels = cache.labels[plan.head]
    rows = make_rows(plan.head, labels[sides.judged].astype(np.int64), fits)
    return ImbalanceComparison(
        plan, network.to_json(), rows, _count_images(cache, plan.head, sides)
    )


def _fit_heads(
    plan: ImbalancePlan,
    network: TrainingPlan,
    cache: CropCache,
    features: Features,
    sides: Sides,
    folder: Path,
    on_fit: Callable[[int, int], None],
) -> Ways:
    """Return each fit's outputs on the judged images by method; fit those not on disk."""
    training, validation, judged = (
        take_examples(features, cache, plan.head, places)
        for places in (sides.training, sides.validation, sides.judged)
    )
    steps = max(1, len(training.labels) // plan.batch_size)
    fits: Ways = {(HEAD_ALONE, method): [] for method in METHODS}
    for seed in range(plan.seed, plan.seed + plan.seeds):
        for method in METHODS:
            path = folder / plan.fits_key(network.spec) / f"{method}-{seed}.npy"
            if not path.exists():
                treated = treat(method, training, cache, plan.head, seed)
                head = fit_head(
                    plan.head, network.spec, plan.fit_plan(seed), treated, validation, steps
                )
                save_outputs(path, read_features(head, plan.head, judged.features))
            fits[HEAD_ALONE, method].append(np.load(path))
            on_fit(sum(len(outputs) for outputs in fits.values()), plan.seeds * len(METHODS))
    return fits


def _count_images(cache: CropCache, head: str, sides: Sides) -> dict[str, list[int]]:
    classes = len(HEADS_BY_NAME[head].labels)
    return {
        side: np.bincount(cache.labels[head][places].astype(int), minlength=classes).tolist()
        for side, places in sides.by_name().items()
    }
