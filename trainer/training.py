"""`facetag train`: from shards to a bundle. Prepare the crop cache, build, fit, measure, write."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras

from facetag.errors import FacetagError
from trainer.crop_cache import CropCache
from trainer.feeding import Feeder
from trainer.fitting import FitPlan, Predictions, Progress, fit, predict_held_out, read_history
from trainer.intervals import fit_age_range
from trainer.metrics import table_1
from vision.bundle import Bundle, file_sha256, write_bundle
from vision.crop import CropRule
from vision.network import NetworkSpec, build_network, freeze_layers, load_backbone_weights


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """One run: which network, from which weights, fitted how."""

    spec: NetworkSpec = field(default_factory=NetworkSpec)
    fit: FitPlan = field(default_factory=FitPlan)
    backbone_weights: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the plan as the run's `plan.json` states it."""
        weights = self.backbone_weights
        return {
            "network": self.spec.to_json(),
            "fit": self.fit.to_json(),
            "starting_weights": None
            if weights is None
            else {"file": weights.name, "sha256": file_sha256(weights)},
        }


def train_network(
    plan: TrainingPlan,
    cache: CropCache,
    run: Path,
    *,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_epoch: Callable[[dict[str, Any]], None] = lambda row: None,
) -> Bundle:
    """Fit, or go on fitting, in the folder `run` and write the bundle to `run/bundle`.

    Raises FacetagError where `run` holds a run of another plan or of other data.
    """
    _claim_run(run, {**plan.to_json(), "shards": cache.facts["shards"]})
    keras.utils.set_random_seed(plan.fit.seed)
    network = build_network(plan.spec)
    if plan.backbone_weights is not None:
        load_backbone_weights(network, plan.spec.backbone, plan.backbone_weights)
    freeze_layers(network, plan.spec.backbone, plan.fit.frozen_layers)
    fit(network, plan.spec, cache, plan.fit, run, on_step=on_step, on_epoch=on_epoch)
    feeder = Feeder(cache, plan.spec.heads, plan.fit.batch_size, plan.fit.seed, plan.fit.jitter)
    return write_run_bundle(run, network, plan, cache, predict_held_out(network, feeder))


def write_run_bundle(
    run: Path,
    network: keras.Model,
    plan: TrainingPlan,
    cache: CropCache,
    outputs: Predictions,
) -> Bundle:
    """Write the bundle of a fitted network; `outputs` are its predictions on the validation set."""
    labels = {name: cache.labels[name][cache.validation] for name in outputs}
    facts = {
        "created": datetime.now(UTC).date().isoformat(),
        "parent": None,
        "shards": [
            {"name": name, "sha256": digest} for name, digest in cache.facts["shards"].items()
        ],
        "samples": {
            "training": int((~cache.validation).sum()),
            "validation": int(cache.validation.sum()),
            "dropped": cache.facts["dropped"],
        },
        "training": {**plan.to_json(), "epochs_done": len(read_history(run))},
        "metrics": {"validation": table_1(labels, outputs)},
        "age_range": fit_age_range(outputs["age"][:, 0], labels["age"]).to_json(),
    }
    rule = CropRule.from_json(cache.facts["crop"])
    return write_bundle(run / "bundle", network, plan.spec, rule, facts)


def _claim_run(run: Path, identity: dict[str, Any]) -> None:
    path = run / "plan.json"
    text = json.dumps(identity, indent=2)
    if path.exists() and json.loads(path.read_text()) != json.loads(text):
        raise FacetagError(
            f"{run} holds a run with another plan or other shards: give another --run folder, "
            "or the same options to go on with it."
        )
    run.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
