"""The plan that the trials of a study share, and the study's name, which follows from it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from facetag.bundles.bundle_folder import file_sha256
from facetag.heads import HEADS_BY_NAME
from facetag.vision.crop import UprightCrop
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.data.shards import shard_digest
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.training_run import TrainingPlan
from facetag_trainer.tuning.search_space import (
    Range,
    TrialValues,
    apply_values,
    frozen_layers,
    search_space,
)

AVERAGED_SPANS = 8
"""Spans of the running average per fit, as in the fit of the network that ships."""


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """The plan of every trial of a study: the network, its budget and its starting weights."""

    network: str
    size: int = 96
    """Side of the images in pixels."""
    part: float = 0.25
    """Share of the training images, chosen by content."""
    epochs: int = 3
    backbone_weights: Path | None = None
    age_output: Literal["value", "distribution"] = "distribution"
    precision: str = "float32"
    seed: int = 1
    heads: tuple[str, ...] = field(default=tuple(HEADS_BY_NAME))

    @property
    def space(self) -> tuple[Range, ...]:
        """The search space."""
        return search_space(self.network, given_weights=self.backbone_weights is not None)

    def training(self, values: TrialValues, steps: int) -> TrainingPlan:
        """Return the training of a trial with these values, at `steps` per epoch."""
        spec = NetworkSpec(self.network, self.size, self.heads, age_output=self.age_output)
        plan = FitPlan(
            epochs=self.epochs,
            seed=self.seed,
            frozen_layers=frozen_layers(
                self.network, given_weights=self.backbone_weights is not None
            ),
            # The decay of a whole fit would keep too much of a short fit's starting weights.
            averaging=max(0.0, 1 - AVERAGED_SPANS / (self.epochs * steps)),
        )
        spec, plan = apply_values(spec, plan, values)
        return TrainingPlan(spec, plan, self.backbone_weights, precision=self.precision)

    def to_json(self, shards: Sequence[Path]) -> dict[str, Any]:
        """Return the plan as a study states it; raises ShardUnreadable.

        `digest` covers everything that decides the scores. File names do not count: the same files
        under other names are the same data.
        """
        weights = self.backbone_weights
        data = [{"name": path.name, "sha256": shard_digest(path)} for path in shards]
        start = None if weights is None else {"file": weights.name, "sha256": file_sha256(weights)}
        identity = {
            "network": self.network,
            "size": self.size,
            "part": self.part,
            "epochs": self.epochs,
            "age_output": self.age_output,
            "precision": self.precision,
            "seed": self.seed,
            "heads": list(self.heads),
            "frozen_layers": frozen_layers(self.network, given_weights=weights is not None),
            "crop": UprightCrop().to_json(),
            "space": [one.to_json() for one in self.space],
        }
        content = [*sorted(one["sha256"] for one in data), start and start["sha256"]]
        text = json.dumps([identity, content], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return {**identity, "starting_weights": start, "shards": data, "digest": digest}


def name_study(stated: Mapping[str, Any]) -> str:
    """Return the name of a plan's study: its budget and its digest."""
    return "{network}-{size}px-{part:g}-{epochs}ep-{digest}".format(**stated)
