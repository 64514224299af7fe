"""A head fitted on features: it learns, by the same draws each time, and keeps its best epoch."""

from dataclasses import replace

import numpy as np
import pytest

from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.imbalance.head_fit import fit_head, macro_f1, read_features, save_outputs
from facetag_trainer.imbalance.imbalance_plan import ImbalancePlan
from facetag_trainer.imbalance.training_examples import Examples

SPEC = NetworkSpec(hidden_units=8)
PLAN = ImbalancePlan(epochs=6, batch_size=16, learning_rate=0.02)


def clouds(counts, seed, spread=0.5):
    """Clouds of features about the corners of a cube, one a label."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    features = 3 * np.eye(5)[labels] + rng.normal(0, spread, (len(labels), 5))
    return Examples(features.astype(np.float32), labels, np.ones(len(labels), np.float32))


TRAINING, VALIDATION = clouds([60, 40, 30, 30, 20], 1), clouds([8] * 5, 2)


def fit(training=TRAINING, validation=VALIDATION, name="race", plan=PLAN, seed=1):
    return fit_head(name, SPEC, plan.fit_plan(seed), training, validation, steps=12)


@pytest.mark.parametrize("name", ["race", "gender"])
def test_a_head_learns_to_tell_labels_apart(name):
    training, validation = TRAINING, VALIDATION
    if name == "gender":
        training, validation = clouds([60, 20], 1), clouds([9, 9], 2)
    head = fit(training, validation, name)
    outputs = read_features(head, name, validation.features)
    assert outputs.shape == (len(validation.labels), 5 if name == "race" else 1)
    assert macro_f1(name, validation, outputs) > 0.9


def test_a_fit_follows_from_its_seed():
    one, same, other = (fit(seed=seed).get_weights()[0] for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_best_epoch_on_validation_is_kept():
    # Labelled by other clouds, validation is read worse with every epoch: an early one is kept.
    contrary = replace(VALIDATION, labels=(VALIDATION.labels + 1) % 5)
    slow = replace(PLAN, learning_rate=0.003)

    def score(head):
        return macro_f1("race", contrary, read_features(head, "race", contrary.features))

    assert score(fit(validation=contrary, plan=slow)) > score(fit(plan=slow))


def test_examples_without_weight_teach_nothing():
    silent = replace(TRAINING, weights=(TRAINING.labels != 0).astype(np.float32))
    guesses = read_features(fit(silent), "race", VALIDATION.features).argmax(axis=1)
    assert not (guesses == 0).any()
    assert (read_features(fit(), "race", VALIDATION.features).argmax(axis=1) == 0).any()


def test_a_loss_that_is_no_number_is_an_error():
    broken = replace(TRAINING, weights=np.full_like(TRAINING.weights, np.nan))
    with pytest.raises(FloatingPointError, match="epoch 0"):
        fit(broken)


def test_outputs_are_read_as_they_were_written(tmp_path):
    save_outputs(tmp_path / "fits" / "plain-1.npy", np.float32([[0.25]]))
    assert np.load(tmp_path / "fits" / "plain-1.npy").tolist() == [[0.25]]
    assert [path.name for path in (tmp_path / "fits").iterdir()] == ["plain-1.npy"]
