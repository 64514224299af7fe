"""Run a training from a crop cache to a bundle: build, fit, calibrate and write."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import numpy.typing as npt

from facetag.atomic_write import atomic_write
from facetag.bundles.bundle_folder import MANIFEST, file_sha256
from facetag.errors import FacetagError
from facetag.heads import HELD_OUT_IMAGES
from facetag.vision.bundle import Bundle, open_bundle
from facetag.vision.bundle_writer import write_bundle
from facetag.vision.crop import read_crop_rule
from facetag.vision.network.attributes import build_network
from facetag.vision.network.backbones import (
    IMAGENET,
    build_backbone,
    freeze_layers,
    load_backbone_weights,
    load_imagenet_weights,
)
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.calibration.activation_ranges import measure_ranges
from facetag_trainer.calibration.bundle_calibration import calibrate_outputs
from facetag_trainer.data.crop_cache import CropCache, leave_out
from facetag_trainer.data.photo_style import StyleTransfer
from facetag_trainer.data.splits import Fold, record_held_out
from facetag_trainer.fit.checkpoint import FILE as CHECKPOINT
from facetag_trainer.fit.descriptor_head import add_descriptor_head
from facetag_trainer.fit.distillation import ANSWERS, Lessons, ask_teachers, read_answers
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.fit_records import EventLog, draw_curves
from facetag_trainer.fit.fused_batch_norm import fuse_norms
from facetag_trainer.fit.loop import (
    HISTORY,
    KEPT_WEIGHTS,
    FitProgress,
    Predictions,
    fit,
    make_feeder,
    predict_held_out,
    read_history,
)
from facetag_trainer.teachers.teacher_knowledge import read_knowledge

Shares = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


BEGUN = (ANSWERS, CHECKPOINT, HISTORY, KEPT_WEIGHTS, "bundle")
"""What a run's folder holds once there is work to lose: before, another plan may take it."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """One run: the network, its starting weights and the fit."""

    spec: NetworkSpec = field(default_factory=NetworkSpec)
    fit: FitPlan = field(default_factory=FitPlan)
    backbone_weights: Path | Literal["imagenet"] | None = None
    """A file, or the ImageNet weights that Keras publishes; None starts from random weights."""
    start: Bundle | None = None
    """Bundle whose weights are fitted further; without it the heads start from random weights."""
    averaged: tuple[Bundle, ...] = ()
    """Bundles whose weights are averaged with those of `start` (model soups; Wortsman et al. 2022,
    arXiv:2203.05482). They must be of one line of descent: other weights cannot be averaged."""
    teachers: tuple[Bundle, ...] = ()
    """Bundles whose answers are a share of the targets, `fit.teacher_share`."""
    answers: Path | None = None
    """Answers of another run's teachers on the same images, to use in place of teachers."""
    taught: Path | None = None
    """What `facetag teach` wrote of the same images: face descriptors, and answers beside them."""
    fold: Fold | None = None
    """Fold of the training images to leave out, so that the bundle can teach it."""
    precision: str = "float32"
    """Keras's dtype policy while fitting; mixed_bfloat16 is faster on CPUs that support it."""

    @property
    def starts(self) -> tuple[Bundle, ...]:
        """All bundles that the fit starts from; empty if it starts from a backbone's weights."""
        return () if self.start is None else (self.start, *self.averaged)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as the run's `plan.json` states it."""
        return {
            "network": self.spec.to_json(),
            "fit": self.fit.to_json(),
            "precision": self.precision,
            "parent": None if self.start is None else self.start.version,
            "averaged": [bundle.version for bundle in self.averaged],
            "teachers": [teacher.version for teacher in self.teachers],
            "answers": None if self.answers is None else file_sha256(self.answers),
            "taught": None if self.taught is None else file_sha256(self.taught),
            "fold": None if self.fold is None else str(self.fold),
            "starting_weights": self._starting_weights(),
        }

    def _starting_weights(self) -> dict[str, str | None] | None:
        if self.start is not None:
            # A network that is fitted further stays under the terms of its first weights.
            inherited: dict[str, str | None] | None
            inherited = self.start.manifest["training"]["starting_weights"]
            return inherited
        weights = self.backbone_weights
        if weights is None:
            return None
        if weights == IMAGENET:
            # Keras knows the file and its checksum.
            return {"file": f"{IMAGENET} of Keras {keras.__version__}", "sha256": None}
        return {"file": Path(weights).name, "sha256": file_sha256(Path(weights))}


def train_network(
    plan: TrainingPlan,
    cache: CropCache,
    run: Path,
    *,
    shares: Shares | None = None,
    spread: Mask | None = None,
    transfer: StyleTransfer | None = None,
    on_teach: Callable[[int, int], None] = lambda done, total: None,
    on_step: Callable[[FitProgress], None] = lambda progress: None,
    on_epoch: Callable[[dict[str, Any]], None] = lambda row: None,
) -> Bundle:
    """Fit in the folder `run`, or resume the fit there, and write the bundle to `run/bundle`.

    `shares` are the teachers' share of the targets for each sample (n,), in place of the plan's.
    The samples `spread` (n,) are each seen in one epoch alone, and some in a style that `transfer`
    gives.
    A run that has its bundle is finished: its bundle is opened. Raises FacetagError if `run` holds
    a run of another plan or of other data, if the bundle to start from has another network, if
    nothing tells a new head its labels, and if the fit diverges.
    """
    _check_start(plan, cache)
    _claim_run(run, {**plan.to_json(), "shards": cache.facts["shards"]})
    if (run / "bundle" / MANIFEST).exists():
        # Writing it again would lose what `facetag evaluate` has recorded in it.
        return open_bundle(run / "bundle")
    if plan.fold is not None:
        cache = leave_out(cache, plan.fold)
    lessons: Lessons | None = None
    if plan.teachers or plan.answers or plan.taught:
        with _dtype_policy(plan.precision):
            lessons = _take_lessons(plan, cache, run, on_teach)
        lessons = lessons if shares is None else replace(lessons, share=shares)
    network = start_network(plan)
    if lessons is not None and lessons.descriptors is not None:
        network = add_descriptor_head(network, plan.spec, lessons.descriptors.shape[1])
    with EventLog(run / "events") as log:

        def record_step(progress: FitProgress) -> None:
            log.step(progress)
            on_step(progress)

        def record_epoch(row: dict[str, Any]) -> None:
            log.epoch(row)
            draw_curves(read_history(run), run / "curves.png")
            on_epoch(row)

        try:
            fit(
                network,
                plan.spec,
                cache,
                plan.fit,
                run,
                lessons=lessons,
                spread=spread,
                transfer=transfer,
                on_step=record_step,
                on_epoch=record_epoch,
            )
        except FloatingPointError as error:
            raise FacetagError(
                f"The fit diverged: give a smaller learning rate. {error}"
            ) from error
    # Measure and write what bundles hold: the same weights in float32.
    fitted, network = network, build_network(plan.spec)
    _take_weights(network, [fitted])
    feeder = make_feeder(cache, plan.spec, plan.fit)
    return write_run_bundle(run, network, plan, cache, predict_held_out(network, feeder))


def _take_lessons(
    plan: TrainingPlan, cache: CropCache, run: Path, on_teach: Callable[[int, int], None]
) -> Lessons:
    heads, share = plan.spec.heads, plan.fit.teacher_share
    if plan.taught is not None:
        knowledge = read_knowledge(plan.taught, cache)
        # Of ages a descriptor tells less than the labels do.
        told = {
            name: answers
            for name, answers in knowledge.answers.items()
            if name in heads and name in ("gender", "race")
        }
        return Lessons(told, share, knowledge.descriptors)
    if plan.answers is not None:
        return Lessons(read_answers(plan.answers, cache, heads), share)
    answers = ask_teachers(plan.teachers, cache, heads, run, on_progress=on_teach)
    return Lessons(answers, share)


def start_network(plan: TrainingPlan) -> keras.Model:
    """Build the plan's network with its starting weights, and freeze what the plan freezes."""
    keras.utils.set_random_seed(plan.fit.seed)
    spec = plan.spec
    with _dtype_policy(plan.precision):
        network = build_network(spec)
        fused = build_network(spec, fuse_norms(build_backbone(spec.backbone, spec.input_size)))
    if plan.starts:
        _take_weights(network, [start.load_network() for start in plan.starts])
    elif plan.backbone_weights == IMAGENET:
        load_imagenet_weights(network, spec.backbone)
    elif plan.backbone_weights is not None:
        load_backbone_weights(network, spec.backbone, Path(plan.backbone_weights))
    # Weight files name layers by their class, so they are loaded into Keras's own layers.
    fused.set_weights(network.get_weights())
    freeze_layers(fused, spec.backbone, plan.fit.frozen_layers, norms=plan.fit.frozen_norms)
    return fused


def _check_start(plan: TrainingPlan, cache: CropCache) -> None:
    """Raise FacetagError unless every head has something to start or to learn from."""
    for start in plan.starts:
        if not _continues(plan.spec, start.spec):
            raise FacetagError(
                f"{start.folder} holds the network {start.spec}, but {plan.spec} is to be fitted: "
                "give the same backbone and heads."
            )
    if plan.starts or plan.teachers or plan.answers or plan.taught:
        return
    labels = {name: cache.labels[name][~cache.validation] for name in plan.spec.heads}
    unlabelled = [name for name, known in labels.items() if len(known) and np.isnan(known).all()]
    if unlabelled:
        raise FacetagError(
            f"No image to fit on has a label of {' or '.join(unlabelled)}: name the heads to fit "
            "with --heads, or give other shards."
        )


def _continues(spec: NetworkSpec, start: NetworkSpec) -> bool:
    """Return whether a network can start from another's weights.

    The input size may differ, since features are pooled, and so may the age output, which is one
    layer.
    """
    return replace(spec, age_output=start.age_output, input_size=start.input_size) == start


def _take_weights(network: keras.Model, starts: Sequence[keras.Model]) -> None:
    """Copy the mean weights per layer; a layer that one of `starts` lacks keeps its own."""
    known = set.intersection(*({layer.name for layer in start.layers} for start in starts))
    for layer in network.layers:
        if layer.name in known:
            weights = [start.get_layer(layer.name).get_weights() for start in starts]
            layer.set_weights([np.mean(values, axis=0) for values in zip(*weights, strict=True)])


def write_run_bundle(
    run: Path,
    network: keras.Model,
    plan: TrainingPlan,
    cache: CropCache,
    outputs: Predictions,
) -> Bundle:
    """Write the bundle of a fitted network; `outputs` are its predictions on held-out images."""
    facts = {
        "created": datetime.now(UTC).date().isoformat(),
        "parent": None if plan.start is None else plan.start.version,
        "shards": [
            {"name": name, "sha256": digest} for name, digest in cache.facts["shards"].items()
        ],
        "samples": {
            "training": int((~cache.validation).sum()),
            "validation": int(cache.validation.sum()),
            "dropped": cache.facts["dropped"],
        },
        "training": {**plan.to_json(), "epochs_done": len(read_history(run))},
        **calibrate_outputs(cache, outputs),
        HELD_OUT_IMAGES: record_held_out(cache.hashes, cache.validation),
        "activation_ranges": measure_ranges(network, plan.spec, cache),
    }
    rule = read_crop_rule(cache.facts["crop"])
    return write_bundle(run / "bundle", network, plan.spec, rule, facts)


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _claim_run(run: Path, identity: dict[str, Any]) -> None:
    path = run / "plan.json"
    text = json.dumps(identity, indent=2)
    begun = any((run / name).exists() for name in BEGUN)
    if begun and path.exists() and _read_identity(path) != json.loads(text):
        raise FacetagError(
            f"{run} holds a run with another plan or other shards: give another --run folder, or "
            "give the same options to resume that run."
        )
    run.mkdir(parents=True, exist_ok=True)
    atomic_write(path, text, sole_writer=True)


def _read_identity(path: Path) -> Any:
    """Return the plan of a run's folder; fields that are newer than it have their defaults."""
    stated = json.loads(path.read_text())
    return {"taught": None, **stated, "fit": {**FitPlan().to_json(), **stated["fit"]}}
