"""Fits a candidate from the champion, and compares the two."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.atomic_write import atomic_write
from facetag.bundles.bundle_folder import CARD
from facetag.retraining.ledger import CALIBRATION, HOLDOUT
from facetag.vision.bundle import Bundle, open_bundle, save_manifest
from facetag.vision.network.backbones import FROZEN_LAYERS
from facetag_trainer.calibration.bundle_calibration import (
    OnRead,
    calibrate_bundle,
    predict_held_out_crops,
)
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.splits import split_held_out
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.loop import FitProgress
from facetag_trainer.fit.training_run import TrainingPlan, train_network
from facetag_trainer.reports.card import write_card
from facetag_trainer.retraining.gate.label_check import Read, check_labels
from facetag_trainer.retraining.gate.loss_bounds import EARLIER, NEW, Serves
from facetag_trainer.retraining.gate.paired_comparison import Judged
from facetag_trainer.retraining.gate.promotion_gate import GateVerdict, judge
from facetag_trainer.retraining.replay import choose_replay, join_caches, keep_some

EPOCHS = 4
LEARNING_RATE = 1e-4
"""A third of the rate of `facetag train`, since the weights are good already."""
AVERAGED_SHARE = 5
"""Weights are averaged over this fraction (1/5) of a short fit: a longer average would keep the
old weights."""
JUDGED_BY = (CALIBRATION, HOLDOUT)
"""The held-out parts that choose no weights. Outputs are compared before calibration, which is
fitted on some of these images."""


@dataclass(frozen=True, slots=True)
class RetrainingPlan:
    """The options of a retraining."""

    replay: float = 0.3
    """Share of the earlier training images that are fitted on again."""
    precision: str = "float32"
    serves: Serves = "both"
    """The images that the service labels from now on, which decide what may be lost."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `FitPlan` that replace the defaults of a retraining."""

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON; the name of the run folder follows from it."""
        return {
            "replay": self.replay,
            "precision": self.precision,
            "for": self.serves,
            **self.options,
        }

    def fit_plan(self, training: int, backbone: str) -> FitPlan:
        """Return the plan for so many images: warm-up and averaging shrink with short fits."""
        epochs = int(self.options.get("epochs", EPOCHS))
        steps = epochs * max(1, training // int(self.options.get("batch_size", 32)))
        usual = FitPlan()
        values = {
            "epochs": epochs,
            "learning_rate": LEARNING_RATE,
            "frozen_layers": FROZEN_LAYERS[backbone],
            "warm_up_steps": min(usual.warm_up_steps, steps // 10),
            "averaging": min(usual.averaging, max(0.0, 1 - AVERAGED_SHARE / steps)),
        }
        return FitPlan(**{**values, **self.options})


def retrain_network(
    champion: Bundle,
    new: CropCache,
    earlier: Sequence[CropCache],
    plan: RetrainingPlan,
    run: Path,
    *,
    on_start: Callable[[FitPlan], None] = lambda fit: None,
    on_step: Callable[[FitProgress], None] = lambda progress: None,
    on_epoch: Callable[[dict[str, Any]], None] = lambda row: None,
    on_read: OnRead = lambda done, total: None,
) -> Bundle:
    """Fit the champion further in the folder `run` and return the bundle in `run/bundle`.

    After a kill, a call with the same arguments resumes; a finished run returns the same bundle.
    Raises FacetagError if no image is left for fitting or validation.
    """
    seed = int(plan.options.get("seed", 1))
    parts = [(cache, choose_replay(cache, plan.replay, seed)) for cache in earlier]
    joined = join_caches([*parts, (new, np.arange(len(new.validation)))])
    fit = plan.fit_plan(int((~joined.validation).sum()), champion.spec.backbone)
    on_start(fit)
    training = TrainingPlan(champion.spec, fit, start=champion, precision=plan.precision)
    bundle = train_network(training, joined, run, on_step=on_step, on_epoch=on_epoch)
    # `train_network` writes no mirroring, which the champion may use.
    bundle = calibrate_bundle(bundle, joined, mirror=champion.mirror, on_read=on_read)
    replayed = sum(int((~cache.validation[indices]).sum()) for cache, indices in parts)
    manifest = {
        **bundle.manifest,
        "shards": add_round(champion.manifest.get("shards", []), new.facts["shards"]),
        "replay": {"share": plan.replay, "images": replayed},
    }
    save_manifest(bundle.folder, manifest)
    atomic_write(bundle.folder / CARD, write_card(manifest))
    return open_bundle(bundle.folder)


def judge_candidate(
    champion: Bundle,
    candidate: Bundle,
    new: CropCache,
    earlier: Sequence[CropCache],
    *,
    serves: Serves = "both",
    on_read: OnRead = lambda done, total: None,
) -> GateVerdict | None:
    """Compare a candidate with the champion on held-out images of earlier rounds and of the new.

    The new labels are checked too. Returns None if no earlier image is held out. `on_read` counts
    all images that both bundles read.
    """
    judges = [find_judges(cache) for cache in earlier]
    if not any(members.any() for members in judges):
        return None
    frozen = join_caches(
        [(cache, np.flatnonzero(members)) for cache, members in zip(earlier, judges, strict=True)]
    )
    members = find_judges(new)
    fresh = keep_some(new, members)
    count = Count(2 * len(frozen.crops) + len(new.crops) + len(fresh.crops), on_read)
    before, after = (read_all(bundle, frozen, on_read=count) for bundle in (champion, candidate))
    unread = read_all(champion, new, on_read=count)
    # The champion has read them among the others.
    known = unread.take(members)
    learnt = read_all(candidate, fresh, on_read=count)
    verdict = judge(
        [
            Judged(EARLIER, before.labels, before.outputs, after.outputs),
            Judged(NEW, known.labels, known.outputs, learnt.outputs),
        ],
        against=champion.version,
        serves=serves,
    )
    return verdict.with_checks(check_labels(before, unread))


def state_verdict(candidate: Bundle, verdict: GateVerdict) -> Bundle:
    """Write a verdict into the manifest and the card of a candidate, and return the candidate."""
    manifest = {**candidate.manifest, "comparison": verdict.to_json()}
    save_manifest(candidate.folder, manifest)
    atomic_write(candidate.folder / CARD, write_card(manifest))
    return open_bundle(candidate.folder)


def find_judges(cache: CropCache) -> npt.NDArray[np.bool_]:
    """Return as (n,) which images of a cache judge: held out, and without a say in the weights."""
    members = cache.validation.copy()
    if members.any():
        members[members] = np.isin(split_held_out(cache.hashes[members]), JUDGED_BY)
    return members


class Count:
    """Counts the images of several readings as one, for one bar."""

    def __init__(self, total: int, on_read: OnRead) -> None:
        self._total = total
        self._on_read = on_read
        self._before = 0

    def __call__(self, done: int, total: int) -> None:
        """Report how many images of all readings are done; `done` of `total` of the present one."""
        self._on_read(self._before + done, self._total)
        self._before += total if done == total else 0


def read_all(
    bundle: Bundle, cache: CropCache, *, on_read: OnRead = lambda done, total: None
) -> Read:
    """Return a cache's labels and a bundle's outputs for all its images."""
    whole = replace(cache, validation=np.ones(len(cache.validation), bool))
    outputs = predict_held_out_crops(bundle, whole, mirror=bundle.mirror, on_read=on_read)
    return Read({name: cache.labels[name] for name in bundle.spec.heads}, outputs)


def add_round(shards: Sequence[Mapping[str, Any]], new: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a manifest's shards with those of one more round, marked with its number."""
    number = 1 + max((int(shard.get("round", 0)) for shard in shards), default=-1)
    added = [{"name": name, "sha256": digest, "round": number} for name, digest in new.items()]
    return [*(dict(shard) for shard in shards), *added]


def list_rounds(shards: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return a manifest's shards (SHA-256 to name) per round, oldest first."""
    rounds: dict[int, dict[str, str]] = {}
    for shard in shards:
        rounds.setdefault(int(shard.get("round", 0)), {})[shard["sha256"]] = shard["name"]
    return [rounds[number] for number in sorted(rounds)]
