"""Fitting a network on a crop cache: on any Keras backend, resumable after a kill at any point.

Imports neither the settings, nor the database, nor TensorFlow.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from facetag.errors import FacetagError
from facetag.heads import HEADS_BY_NAME
from trainer.augment import Jitter
from trainer.checkpoint import load_checkpoint, save_checkpoint
from trainer.crop_cache import CropCache
from trainer.feeding import Feeder
from trainer.metrics import table_1
from vision.network import AGE_SCALE, NetworkSpec

Predictions = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class FitPlan:
    """All that determines a fit, given the cache and the starting weights."""

    epochs: int = 6
    batch_size: int = 32
    learning_rate: float = 3e-4
    weight_decay: float = 0.02
    warm_up_steps: int = 300
    frozen_layers: int = 52
    age_weight: float = 6.0
    """Weight of the squared age error, in units of 50 years; the other heads' losses weigh 1."""
    seed: int = 1
    checkpoint_steps: int = 200
    jitter: Jitter = field(default_factory=Jitter)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as run folders and manifests state it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a fit stands; handed to `on_step` after every step."""

    epoch: int
    step: int
    steps: int
    loss: float
    images_per_s: float


def fit(
    network: keras.Model,
    spec: NetworkSpec,
    cache: CropCache,
    plan: FitPlan,
    folder: Path,
    *,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_epoch: Callable[[dict[str, Any]], None] = lambda row: None,
) -> None:
    """Fit to the plan's end, going on from the folder's checkpoint if there is one.

    Writes `checkpoint.npz`, `history.jsonl` (a row an epoch) and `best.weights.h5` (of the epoch
    with the best validation score) into `folder`. The network ends with the best weights. Raises
    FacetagError where nothing is left to fit on or to validate with.
    """
    if cache.validation.all() or not cache.validation.any():
        raise FacetagError(
            f"Of {len(cache.validation)} images {cache.validation.sum()} are held out, by their "
            "content: too few on one side to fit a network. Give more, or more varied, images."
        )
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(plan.seed)
    feeder = Feeder(cache, spec.heads, plan.batch_size, plan.seed, plan.jitter)
    compile_network(network, spec, plan, feeder.steps)
    network.optimizer.build(network.trainable_variables)
    epoch, step = load_checkpoint(folder, network)
    history = [row for row in read_history(folder) if row["epoch"] < epoch]
    while epoch < plan.epochs:
        _fit_epoch(network, feeder, plan, folder, epoch, step, on_step)
        row = {"epoch": epoch, **_score(predict_held_out(network, feeder), cache)}
        history.append(row)
        if row["score"] <= min(entry["score"] for entry in history):
            network.save_weights(folder / "best.weights.h5")
        _write_history(folder, history)
        epoch, step = epoch + 1, 0
        save_checkpoint(folder, network, epoch, step)
        on_epoch(row)
    network.load_weights(folder / "best.weights.h5")


def compile_network(network: keras.Model, spec: NetworkSpec, plan: FitPlan, steps: int) -> None:
    """Give the network its losses (MSE, BCE, CCE), their weights and AdamW at a cosine rate."""
    kinds = {
        "regression": "mean_squared_error",
        "binary": "binary_crossentropy",
        "categorical": "sparse_categorical_crossentropy",
    }
    total = plan.epochs * steps
    warm_up = min(plan.warm_up_steps, total // 4 + 1)
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, total - warm_up),
        alpha=0.002,
        warmup_target=plan.learning_rate,
        warmup_steps=warm_up,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=plan.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    network.compile(
        optimizer=optimizer,
        loss={name: kinds[HEADS_BY_NAME[name].kind] for name in spec.heads},
        loss_weights={
            name: plan.age_weight / AGE_SCALE**2
            if HEADS_BY_NAME[name].kind == "regression"
            else 1.0
            for name in spec.heads
        },
        jit_compile=keras.backend.backend() == "jax",
    )


def predict_held_out(network: keras.Model, feeder: Feeder) -> Predictions:
    """Return the network's outputs (n, units) a head for the validation set, in its order."""
    parts: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in feeder.heads}
    for batch in feeder.held_out():
        for name, values in network.predict_on_batch(batch.images).items():
            parts[name].append(np.asarray(values))
    return {name: np.concatenate(values) for name, values in parts.items()}


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a run's history, one an epoch; none where nothing was fitted yet."""
    path = folder / "history.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _fit_epoch(
    network: keras.Model,
    feeder: Feeder,
    plan: FitPlan,
    folder: Path,
    epoch: int,
    first_step: int,
    on_step: Callable[[Progress], None],
) -> None:
    started, loss = time.monotonic(), float("nan")
    for step, batch in enumerate(feeder.epoch(epoch, first_step), first_step):
        logs = network.train_on_batch(
            batch.images, batch.targets, sample_weight=batch.weights, return_dict=True
        )
        loss = float(logs["loss"])
        if not np.isfinite(loss):
            raise FloatingPointError(f"The loss is {loss} at epoch {epoch}, step {step}.")
        rate = (step - first_step + 1) * plan.batch_size / (time.monotonic() - started)
        on_step(Progress(epoch, step + 1, feeder.steps, loss, rate))
        if (step + 1) % plan.checkpoint_steps == 0 and step + 1 < feeder.steps:
            save_checkpoint(folder, network, epoch, step + 1)
    network.reset_metrics()


def _score(outputs: Predictions, cache: CropCache) -> dict[str, Any]:
    """Return Table 1 on the validation set and one score, less being better.

    The score adds up each head's error in units of the paper's own Table 1.
    """
    labels = {name: cache.labels[name][cache.validation] for name in outputs}
    table: dict[str, dict[str, Any]] = table_1(labels, outputs)
    parts = []
    if "age" in table:
        parts.append(table["age"]["rmse"] / 8.70)
    if "gender" in table:
        parts.append((1 - table["gender"]["accuracy"]) / (1 - 0.9239))
    if "race" in table:
        parts.append((1 - table["race"]["accuracy"]) / (1 - 0.8307))
    # Without a label to validate with every epoch is as good, and the last one stays.
    return {"score": sum(parts) / max(1, len(parts)), **table}


def _write_history(folder: Path, history: list[dict[str, Any]]) -> None:
    temporary = folder / "history.jsonl.partial"
    temporary.write_text("".join(json.dumps(row) + "\n" for row in history))
    temporary.replace(folder / "history.jsonl")
