"""The loss of ages as distributions: by hand, and by what it prefers."""

import keras
import numpy as np
import pytest

from facetag.vision.network.attributes import YEARS, build_network
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.losses import LABEL_SPREAD, AgeDistributionLoss, compile_network


def about(age, spread=LABEL_SPREAD):
    weights = np.exp(-0.5 * ((YEARS - age) / spread) ** 2)
    return (weights / weights.sum()).astype(np.float32)


def loss(label, distribution, mean_weight=40.0):
    values = AgeDistributionLoss(mean_weight).call(np.array([label]), distribution[None])
    return float(np.asarray(values)[0])


def test_the_labels_own_distribution_has_the_least_loss_which_is_its_entropy():
    right = about(30)
    entropy = -np.sum(right * np.log(np.maximum(right, 1e-30)))
    assert loss(30, right) == pytest.approx(entropy, abs=1e-3)
    assert all(loss(30, other) > entropy for other in (about(33), about(30, 5), about(30, 1)))


def test_the_mean_counts_by_its_squared_error_in_units_of_50_years():
    wrong = about(40)
    assert loss(30, wrong, 40.0) - loss(30, wrong, 0.0) == pytest.approx(
        40 * (10 / 50) ** 2, rel=1e-3
    )


def test_a_label_at_the_edge_of_the_years_is_fitted_too():
    assert loss(0, about(0)) < loss(0, about(5))
    assert np.isfinite(loss(116, about(0)))


def test_a_network_learns_the_ages_that_it_is_shown():
    keras.utils.set_random_seed(5)
    spec = NetworkSpec(
        backbone="tiny", input_size=32, hidden_units=32, dropout=0.0, heads=("age",),
        age_output="distribution",
    )  # fmt: skip
    network = build_network(spec)
    compile_network(network, spec, FitPlan(learning_rate=0.02, warm_up_steps=5, averaging=0), 200)
    images = np.zeros((8, 32, 32, 3), np.float32)
    images[4:] = 255
    ages = {"age": np.array([20] * 4 + [70] * 4, np.float32)}
    for _ in range(150):
        network.train_on_batch(images, ages, sample_weight={"age": np.ones(8, np.float32)})
    predicted = network(images, training=False)["age"]
    assert np.asarray(predicted)[:, 0] == pytest.approx(ages["age"], abs=4)
