"""Fit a network on a crop cache, on any Keras backend; a killed fit can be resumed.

This module imports neither the settings, nor the database, nor TensorFlow.
"""

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from facetag.atomic_write import atomic_draft, atomic_write
from facetag.errors import FacetagError
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.photo_style import StyleTransfer
from facetag_trainer.data.splits import VALIDATION, split_held_out
from facetag_trainer.evaluation.table_1_metrics import table_1
from facetag_trainer.fit.batches import Feeder, balance_classes
from facetag_trainer.fit.checkpoint import FitPlace, load_checkpoint, save_checkpoint
from facetag_trainer.fit.distillation import Lessons
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.losses import compile_network, plateau_rate, warm_up_steps
from facetag_trainer.fit.mixup import Softening
from facetag_trainer.fit.schedule import is_stalled
from facetag_trainer.fit.weight_averaging import STATISTICS_BATCHES, averaged_weights

Predictions = dict[str, npt.NDArray[np.float32]]
KEPT_WEIGHTS = "kept.weights.h5"
HISTORY = "history.jsonl"


@dataclass(frozen=True, slots=True)
class FitProgress:
    """Progress of a fit, which `on_step` gets after every step."""

    epoch: int
    step: int
    steps: int
    loss: float
    """Mean over the epoch so far."""
    images_per_s: float
    samples: npt.NDArray[np.intp]
    """Indices in the cache of the step's samples."""


def fit(
    network: keras.Model,
    spec: NetworkSpec,
    cache: CropCache,
    plan: FitPlan,
    folder: Path,
    *,
    lessons: Lessons | None = None,
    spread: npt.NDArray[np.bool_] | None = None,
    transfer: StyleTransfer | None = None,
    on_step: Callable[[FitProgress], None] = lambda progress: None,
    on_epoch: Callable[[dict[str, Any]], None] = lambda row: None,
) -> None:
    """Fit to the plan's end, from the folder's checkpoint if there is one.

    Writes `checkpoint.npz`, `history.jsonl` (one row per epoch) and `kept.weights.h5` (of the epoch
    that the plan keeps) into `folder`. The network ends with the kept weights. The samples `spread`
    (n,) are each seen in one epoch alone, and some in a style that `transfer` gives. `on_epoch` is
    called once the epoch is on disk, so the fit can be resumed whatever it raises. Raises
    FacetagError if no image is left to fit on or to validate with, and FloatingPointError if the
    fit diverges.
    """
    _require_two_sides(cache)
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(plan.seed)
    feeder = make_feeder(cache, spec, plan, lessons, spread=spread, transfer=transfer)
    compile_network(network, spec, plan, feeder.steps)
    network.optimizer.build(network.trainable_variables)
    place = load_checkpoint(folder, network)
    history = [row for row in read_history(folder) if row["epoch"] < place.epoch]
    while place.epoch < plan.epochs and not is_stalled(_scores(history), plan.patience):
        loss = _fit_epoch(network, feeder, plan, folder, place, _scores(history), on_step)
        with _final_weights(network, feeder, plan, place.epoch):
            row = {
                "epoch": place.epoch,
                "loss": loss,
                "learning_rate": float(network.optimizer.learning_rate),
                **_score(predict_held_out(network, feeder), cache),
            }
            history.append(row)
            if plan.keep == "last" or row["score"] <= min(_scores(history)):
                _save_kept(network, folder)
        _write_history(folder, history)
        place = FitPlace(place.epoch + 1, 0)
        save_checkpoint(folder, network, place)
        on_epoch(row)
    network.load_weights(folder / KEPT_WEIGHTS)


def make_feeder(
    cache: CropCache,
    spec: NetworkSpec,
    plan: FitPlan,
    lessons: Lessons | None = None,
    *,
    spread: npt.NDArray[np.bool_] | None = None,
    transfer: StyleTransfer | None = None,
) -> Feeder:
    """Return the feeder of a fit's batches, with the arguments of `fit`."""
    return Feeder(
        cache,
        spec.heads,
        plan.batch_size,
        plan.seed,
        plan.jitter,
        class_weights={name: balance_classes(cache, name) for name in plan.balanced},
        lessons=lessons,
        softening=Softening(plan.label_smoothing, plan.mixup) if plan.soft_targets else None,
        spread=spread,
        epochs=plan.epochs,
        transfer=transfer,
    )


def predict_held_out(network: keras.Model, feeder: Feeder) -> Predictions:
    """Return the network's outputs (n, units) per head for the held-out images, in order.

    Raises FloatingPointError if one is no number.
    """
    parts: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in feeder.heads}
    for batch in feeder.held_out():
        outputs = network.predict_on_batch(batch.images)
        for name, values in parts.items():
            values.append(np.asarray(outputs[name]))
    outputs = {name: np.concatenate(values) for name, values in parts.items()}
    if not all(np.isfinite(values).all() for values in outputs.values()):
        raise FloatingPointError("The network's outputs are no numbers.")
    return outputs


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a run's history, one per epoch; empty before the first epoch ends."""
    path = folder / HISTORY
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _require_two_sides(cache: CropCache) -> None:
    if cache.validation.all() or not cache.validation.any():
        raise FacetagError(
            f"Of {len(cache.validation)} images {cache.validation.sum()} are held out, by their "
            "content: too few on one side to fit a network. Give more, or more varied, images."
        )


def _fit_epoch(
    network: keras.Model,
    feeder: Feeder,
    plan: FitPlan,
    folder: Path,
    place: FitPlace,
    scores: list[float],
    on_step: Callable[[FitProgress], None],
) -> float:
    """Fit from `place` to the end of its epoch, and return the mean loss of the epoch."""
    started, epoch, total, mean = time.monotonic(), place.epoch, place.loss_sum, 0.0
    for done, batch in enumerate(feeder.epoch(epoch, place.step), 1):
        step = place.step + done
        if plan.schedule == "plateau":
            _follow_plateau(network, plan, feeder.steps, epoch * feeder.steps + step - 1, scores)
        logs = network.train_on_batch(
            batch.images, batch.targets, sample_weight=batch.weights, return_dict=True
        )
        total += float(logs["loss"])
        mean = total / step
        if not np.isfinite(mean):
            raise FloatingPointError(f"The loss is {mean} at epoch {epoch}, step {step - 1}.")
        rate = done * plan.batch_size / (time.monotonic() - started)
        on_step(FitProgress(epoch, step, feeder.steps, mean, rate, batch.indices))
        if step % plan.checkpoint_steps == 0 and step < feeder.steps:
            save_checkpoint(folder, network, FitPlace(epoch, step, total))
    return mean


def _follow_plateau(
    network: keras.Model, plan: FitPlan, steps: int, place: int, scores: list[float]
) -> None:
    # The rate changes during warm-up, and between epochs.
    if place < warm_up_steps(plan, steps) or place % steps == 0:
        network.optimizer.learning_rate = plateau_rate(plan, steps, place, scores)


def _final_weights(network: keras.Model, feeder: Feeder, plan: FitPlan, epoch: int) -> Any:
    """Return a context in which the network has the weights to measure and keep."""
    if not plan.averaging:
        return nullcontext()
    # The images that the network will label are neither mixed nor jittered.
    drawn = np.random.default_rng((plan.seed, epoch)).permutation(feeder.training)
    batches = feeder.plain(drawn[: STATISTICS_BATCHES * plan.batch_size])
    return averaged_weights(network, (batch.images for batch in batches))


def _save_kept(network: keras.Model, folder: Path) -> None:
    # A kill during the write must not destroy the best weights so far.
    with atomic_draft(folder / KEPT_WEIGHTS, sole_writer=True) as draft:
        network.save_weights(draft, overwrite=True)


def _scores(history: list[dict[str, Any]]) -> list[float]:
    return [row["score"] for row in history]


def _score(outputs: Predictions, cache: CropCache) -> dict[str, Any]:
    """Return Table 1 on the validation part, and a score that is better the smaller it is.

    The score is the mean of the heads' errors, each in units of the error in the student paper's
    Table 1. The calibration and holdout parts choose nothing, except in a set so small that the
    validation part is empty.
    """
    chosen = split_held_out(cache.hashes[cache.validation]) == VALIDATION
    if not chosen.any():
        chosen[:] = True
    labels = {name: cache.labels[name][cache.validation][chosen] for name in outputs}
    table: dict[str, dict[str, Any]] = table_1(
        labels, {name: values[chosen] for name, values in outputs.items()}
    )
    parts = []
    if "age" in table:
        parts.append(table["age"]["rmse"] / 8.70)
    if "gender" in table:
        parts.append((1 - table["gender"]["accuracy"]) / (1 - 0.9239))
    if "race" in table:
        parts.append((1 - table["race"]["accuracy"]) / (1 - 0.8307))
    # Without a label to validate with, all epochs score 0 and the last one is kept.
    return {"score": sum(parts) / max(1, len(parts)), **table}


def _write_history(folder: Path, history: list[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in history)
    atomic_write(folder / HISTORY, lines, sole_writer=True)
