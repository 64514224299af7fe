"""Calibrate a bundle on images that it was neither fitted on nor chosen by.

The calibration has a temperature per head, a line through ages and an age range; the holdout
measures its outcome.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from facetag.errors import FacetagError
from facetag.heads import AGE, HEADS_BY_NAME, HELD_OUT_ANSWERS, HELD_OUT_IMAGES
from facetag.quantification.held_out_answers import to_manifest
from facetag.vision.bundle import Bundle, open_bundle, save_manifest
from facetag.vision.network.age_range import AgeRange
from facetag.vision.network.calibration import (
    AgeLine,
    Calibration,
    Values,
    at_temperature,
    top_probability,
)
from facetag.vision.network.mirror_averaging import Mirroring, Outputs
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.calibration.activation_ranges import measure_ranges
from facetag_trainer.calibration.age_intervals import fit_age_range, widen_to_coverage
from facetag_trainer.data.augmentation import centre_crop
from facetag_trainer.data.crop_cache import CropCache, detector_facts, open_cache
from facetag_trainer.data.splits import (
    CALIBRATION,
    HOLDOUT,
    PART_SHARES,
    VALIDATION,
    record_held_out,
    split_held_out,
)
from facetag_trainer.evaluation.calibration_error import chosen_labels
from facetag_trainer.evaluation.corruptions import corrupt_somehow
from facetag_trainer.evaluation.table_1_metrics import measure_heads

if TYPE_CHECKING:
    from facetag.settings import Settings

ReadCrops = Callable[[npt.NDArray[np.uint8]], Outputs]
"""Gives outputs (n, units) per head for crops (n, size, size, 3)."""
OnRead = Callable[[int, int], None]
"""Gets how many images have been read, and of how many."""
UNCERTAIN_BELOW = {"gender": 0.8, "race": 0.6}
"""Probability below which results mark a label as uncertain, and keep it. By the network's own
estimate, at this probability one label in five (gender) or two in five (race) is wrong."""
UNCERTAIN_UNDER_AGE = {"gender": 10.0}
"""Apparent ages in years under which a head's label is uncertain whatever its probability: the
gender of a quarter of UTKFace's children under ten is read wrongly, and teachers read no better."""
MIRRORINGS = {
    "never": Mirroring(),
    "unsure": Mirroring(below={"gender": 0.9, "race": 0.6}),
    "always": Mirroring(always=True),
}
"""Which faces are read mirrored too, by the name that `facetag calibrate` takes. The bounds of
`unsure` keep the whole gain in accuracy of gender and race, at a third of the cost."""
TEMPERATURES = (0.05, 20.0)
FEWEST_FOR_LINE = 100
"""Least number of images with a known age; with fewer, ages stay as the network gives them."""
BATCH = 64


def fit_temperature(head: str, labels: Values, outputs: Values) -> float:
    """Return the temperature with the least cross entropy; labels (n,) may contain NaN.

    It is 1 with fewer than two known labels.
    """
    known = ~np.isnan(labels)
    if known.sum() < 2:
        return 1.0
    truth, values = labels[known].astype(int), outputs[known]

    def loss(temperature: float) -> float:
        probability = at_temperature(head, values, temperature)
        if HEADS_BY_NAME[head].kind == "binary":
            chosen = np.where(truth == 1, probability[:, 0], 1 - probability[:, 0])
        else:
            chosen = probability[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(chosen, 1e-12)).mean())

    # The loss is convex in 1/T, so it has a single minimum over log T.
    found = minimize_scalar(
        lambda exponent: loss(float(np.exp(exponent))),
        bounds=np.log(TEMPERATURES),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return round(float(np.exp(found.x)), 4)


def fit_age_line(labels: Values, ages: Values) -> AgeLine:
    """Return the line of least squares from ages (n,) to labels (n,), which may contain NaN.

    The line is the identity unless its slope differs from 1 by more than two standard errors, and
    also with too few images.
    """
    known = ~np.isnan(labels)
    if known.sum() < FEWEST_FOR_LINE or ages[known].std() == 0:
        return AgeLine()
    (slope, offset), covariance = np.polyfit(ages[known], labels[known], 1, cov=True)
    if slope <= 0 or abs(slope - 1) <= 2 * covariance[0, 0] ** 0.5:
        return AgeLine()
    return AgeLine(round(float(offset), 3), round(float(slope), 4))


def calibrate_outputs(
    cache: CropCache, outputs: Outputs, corrupted: Outputs | None = None
) -> dict[str, Any]:
    """Return the manifest's fields that follow from a network's outputs on held-out images.

    `outputs` are (n, units) per head, uncalibrated, in the order of the cache's held-out images.
    The fields are `calibration`, `age_range`, `held_out` (images per part), `held_out_answers` (for
    the estimation of shares) and `metrics` (of validation and holdout). Temperatures, the line
    through ages and the range's coverage are fitted on the calibration part; the range's shape is
    fitted on the validation part. `corrupted` are the outputs on the same images made poor:
    temperatures and ranges are then fitted on both, so that they hold for poor photos too.
    """
    parts = split_held_out(cache.hashes[cache.validation])
    labels = {name: cache.labels[name][cache.validation] for name in outputs}
    members = {name: parts == name for name in PART_SHARES}
    fitted = members[CALIBRATION]
    seen = [outputs] if corrupted is None else [outputs, corrupted]
    all_labels = {name: np.tile(values, len(seen)) for name, values in labels.items()}
    all_members = {name: np.tile(mask, len(seen)) for name, mask in members.items()}
    all_outputs = {name: np.concatenate([one[name] for one in seen]) for name in outputs}
    everywhere = all_members[CALIBRATION]
    heads = [name for name in outputs if HEADS_BY_NAME[name].kind != "regression"]
    calibration = Calibration(
        {
            name: fit_temperature(name, all_labels[name][everywhere], all_outputs[name][everywhere])
            for name in heads
        },
        {name: UNCERTAIN_BELOW[name] for name in heads},
        fit_age_line(labels[AGE.name][fitted], outputs[AGE.name][fitted, 0])
        if AGE.name in outputs
        else AgeLine(),
        {name: age for name, age in UNCERTAIN_UNDER_AGE.items() if name in heads},
    )
    fields: dict[str, Any] = {
        "calibration": {
            "temperatures": dict(calibration.temperatures),
            "uncertain_below": dict(calibration.uncertain_below),
            "uncertain_under_age": dict(calibration.uncertain_under_age),
            "age_line": asdict(calibration.age_line),
            "fitted_on": int(fitted.sum()),
        },
        "held_out": {name: int(mask.sum()) for name, mask in members.items()},
    }
    certain = calibration.apply(outputs)
    age_range = None
    if AGE.name in outputs:
        ages = calibration.apply(all_outputs)[AGE.name][:, 0]
        age_range = _fit_range(ages, all_labels[AGE.name], all_members)
        fields["age_range"] = age_range.to_json()
    fields["metrics"] = {
        name: measure_heads(_take(labels, members[name]), _take(certain, members[name]), age_range)
        for name in (VALIDATION, HOLDOUT)
    }
    if corrupted is not None:
        poor = calibration.apply(corrupted)
        judged = members[HOLDOUT]
        fields["metrics"]["holdout_spoiled"] = measure_heads(
            _take(labels, judged), _take(poor, judged), age_range
        )
    fields[HELD_OUT_ANSWERS] = to_manifest(labels, certain)
    fields["calibration"]["uncertain"] = _count_uncertain(
        calibration, _take(labels, members[HOLDOUT]), _take(certain, members[HOLDOUT])
    )
    return fields


def calibrate_bundle(
    bundle: Bundle,
    cache: CropCache,
    *,
    mirror: Mirroring | None = None,
    batch: int = BATCH,
    known_outputs: tuple[Outputs, Outputs] | None = None,
    on_read: OnRead = lambda done, total: None,
) -> Bundle:
    """Predict the held-out images, fit the calibration and write it into the manifest.

    Doing it again gives the same manifest. `mirror` sets which faces are read mirrored too; None
    keeps the manifest's setting. `known_outputs` are the uncalibrated outputs for the held-out
    images, as they are and corrupted, if they are known already. Weights and version stay. Recorded
    test figures are removed, since they belong to another calibration. Raises FacetagError if the
    cache has other crops than the bundle wants, or no held-out images.
    """
    if not _fits(cache, bundle):
        raise FacetagError(
            f"The crop cache was cut by another crop rule or size than that of {bundle.folder}: "
            "give the shards that the bundle was fitted on."
        )
    if not cache.validation.any():
        raise FacetagError(
            "The crop cache has no held-out images to calibrate on: give more shards."
        )
    mirror = bundle.mirror if mirror is None else mirror
    outputs, corrupted = known_outputs or (
        predict_held_out_crops(
            bundle, cache, mirror=mirror, spoil=spoil, batch=batch, on_read=on_read
        )
        for spoil in (False, True)
    )
    fields = {
        **calibrate_outputs(cache, outputs, corrupted),
        "activation_ranges": measure_ranges(bundle.load_network(), bundle.spec, cache),
    }
    if HELD_OUT_IMAGES not in bundle.manifest:
        fields[HELD_OUT_IMAGES] = record_held_out(cache.hashes, cache.validation)
    manifest = {**bundle.manifest, **fields, "mirror": mirror.to_json()}
    if manifest == {**bundle.manifest, "metrics": fields["metrics"]}:
        return bundle
    save_manifest(bundle.folder, manifest)
    return open_bundle(bundle.folder)


def find_cache(root: Path, bundle: Bundle, settings: "Settings") -> CropCache:
    """Return the crop cache below `root` of the shards that a bundle was fitted on.

    Raises FacetagError if no cache was cut by the bundle's crop rule and by this detector.
    """
    wanted = {shard["sha256"] for shard in bundle.manifest["shards"]}
    for path in sorted(root.glob("*/cache.json")):
        cache = open_cache(path.parent)
        cut_here = cache.facts.get("detector") == detector_facts(settings)
        if cut_here and set(cache.facts["shards"].values()) == wanted and _fits(cache, bundle):
            return cache
    raise FacetagError(
        f"No crop cache below {root} has the shards that {bundle.folder} was fitted on: give "
        "these shards to make one."
    )


def predict_held_out_crops(
    bundle: Bundle,
    cache: CropCache,
    *,
    mirror: Mirroring,
    spoil: bool = False,
    batch: int = BATCH,
    on_read: OnRead = lambda done, total: None,
) -> Outputs:
    """Return a bundle's uncalibrated outputs (n, units) per head for a cache's held-out images.

    With `spoil`, each image is first made poor in one of twelve ways, always the same one.
    """
    read = partial(predict_images, bundle.load_network(), mirror=mirror)
    return read_held_out_crops(read, bundle.spec, cache, spoil=spoil, batch=batch, on_read=on_read)


def read_held_out_crops(
    read: ReadCrops,
    spec: NetworkSpec,
    cache: CropCache,
    *,
    spoil: bool = False,
    batch: int = BATCH,
    on_read: OnRead = lambda done, total: None,
) -> Outputs:
    """Return what a function reads of a cache's held-out images, as `predict_held_out_crops`."""
    indices = np.flatnonzero(cache.validation)
    found: dict[str, list[Values]] = {
        name: [np.zeros((0, HEADS_BY_NAME[name].units), np.float32)] for name in spec.heads
    }
    for start in range(0, len(indices), batch):
        part = indices[start : start + batch]
        crops = np.stack([_show(cache, int(index), spoil=spoil) for index in part])
        for name, values in read(crops).items():
            found[name].append(values)
        on_read(start + len(part), len(indices))
    return {name: np.concatenate(values) for name, values in found.items()}


def _show(cache: CropCache, index: int, *, spoil: bool) -> npt.NDArray[np.uint8]:
    crop = centre_crop(cache.crops[index], cache.size)
    # By what the image shows, not by its place, so that other shards beside it change nothing.
    return corrupt_somehow(crop, int(cache.hashes[index][:4].view(np.uint32)[0])) if spoil else crop


def predict_images(network: keras.Model, images: npt.NDArray[Any], *, mirror: Mirroring) -> Outputs:
    """Return a network's outputs (n, units) per head; `mirror` decides on mirror images."""

    def predict(part: npt.NDArray[Any]) -> Outputs:
        outputs = network.predict_on_batch(part.astype(np.float32))
        return {name: np.asarray(values) for name, values in outputs.items()}

    return mirror.read(predict, images)


def _fits(cache: CropCache, bundle: Bundle) -> bool:
    same_rule: bool = cache.facts["crop"] == bundle.crop_rule.to_json()
    return same_rule and cache.size == bundle.spec.input_size


def _fit_range(predicted: Values, labels: Values, members: Mapping[str, Any]) -> AgeRange:
    first, second = members[VALIDATION], members[CALIBRATION]
    shape = fit_age_range(predicted[first], labels[first])
    return widen_to_coverage(shape, predicted[second], labels[second])


def _count_uncertain(calibration: Calibration, labels: Outputs, outputs: Outputs) -> dict[str, Any]:
    """Return per head the share of uncertain labels, and the accuracy of these and of the rest."""
    counted = {}
    for name, threshold in calibration.uncertain_below.items():
        known = ~np.isnan(labels[name])
        truth, output = labels[name][known], outputs[name][known]
        correct = chosen_labels(name, output) == truth
        unsure = top_probability(name, output) < threshold
        young = calibration.uncertain_under_age.get(name)
        if young is not None and AGE.name in outputs:
            unsure |= outputs[AGE.name][known, 0] < young
        counted[name] = {
            "share": _mean(unsure),
            "accuracy": _mean(correct[unsure]),
            "accuracy_of_others": _mean(correct[~unsure]),
        }
        if young is not None and AGE.name in labels:
            counted[name]["share_under_age"] = _mean(unsure[labels[AGE.name][known] < young])
    return counted


def _take(values: Mapping[str, Values], mask: npt.NDArray[np.bool_]) -> Outputs:
    return {name: value[mask] for name, value in values.items()}


def _mean(values: npt.NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None
