"""Fit one head on pooled features, with the losses and the schedule of whole networks."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from facetag.atomic_write import atomic_open
from facetag.heads import HEADS_BY_NAME
from facetag.vision.network.attributes import build_head
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.evaluation.calibration_error import chosen_labels
from facetag_trainer.evaluation.weighted_metrics import measure_guesses
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.losses import compile_network
from facetag_trainer.imbalance.minority_measures import HeadOutputs
from facetag_trainer.imbalance.training_examples import Examples


def fit_head(
    name: str,
    spec: NetworkSpec,
    plan: FitPlan,
    training: Examples,
    validation: Examples,
    steps: int,
) -> keras.Model:
    """Return a head fitted for `plan.epochs` times `steps`, with the weights of its best epoch.

    The best epoch has the highest macro F1 on the validation examples, since by accuracy a method
    that favours rare labels could not win. Raises FloatingPointError if the loss is not finite.
    """
    keras.utils.set_random_seed(plan.seed)
    head = build_head(name, spec, training.features.shape[1])
    compile_network(head, replace(spec, heads=(name,)), plan, steps)
    batches = _draw_batches(len(training.labels), plan)
    best, kept = -1.0, head.get_weights()
    for epoch in range(plan.epochs):
        loss = _fit_epoch(head, name, training, batches, steps)
        if not np.isfinite(loss):
            raise FloatingPointError(f"The loss is {loss} at epoch {epoch}.")
        score = macro_f1(name, validation, read_features(head, name, validation.features))
        if score > best:
            best, kept = score, head.get_weights()
    head.set_weights(kept)
    return head


def read_features(head: keras.Model, name: str, features: npt.NDArray[np.float32]) -> HeadOutputs:
    """Return the head's outputs (n, units) for features (n, width)."""
    return np.asarray(head.predict_on_batch(features)[name])


def macro_f1(name: str, examples: Examples, outputs: HeadOutputs) -> float:
    """Return the mean F1 of all labels that occur or are predicted."""
    guess = chosen_labels(name, outputs)
    ones = np.ones((1, len(guess)))
    classes = len(HEADS_BY_NAME[name].labels)
    return float(measure_guesses(examples.labels, guess, classes, ones)["macro_f1"][0])


def save_outputs(path: Path, outputs: HeadOutputs) -> None:
    """Write outputs atomically: a head whose outputs exist is not fitted again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_open(path, sole_writer=True) as file:
        np.save(file, outputs)


def _fit_epoch(
    head: keras.Model,
    name: str,
    training: Examples,
    batches: Iterator[npt.NDArray[np.intp]],
    steps: int,
) -> float:
    """Return the mean loss that Keras reports, which is NaN once that of a step is."""
    logs: dict[str, float] = {}
    for part in islice(batches, steps):
        logs = head.train_on_batch(
            training.features[part],
            {name: training.labels[part].astype(np.float32)},
            sample_weight={name: training.weights[part]},
            return_dict=True,
        )
    return float(logs["loss"])


def _draw_batches(count: int, plan: FitPlan) -> Iterator[npt.NDArray[np.intp]]:
    """Yield indices of examples without end; every example comes once before any comes again."""
    rng = np.random.default_rng(plan.seed)
    waiting = np.empty(0, np.intp)
    while True:
        while len(waiting) < plan.batch_size:
            waiting = np.concatenate([waiting, rng.permutation(count)])
        yield waiting[: plan.batch_size]
        waiting = waiting[plan.batch_size :]
