"""What is searched for each network, and the fits that values make."""

import optuna
import pytest

from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.tuning.search_space import (
    Range,
    apply_values,
    default_values,
    frozen_layers,
    search_space,
    suggest,
)

SEARCHES = [("cnn", False), ("xception", False), ("xception", True), ("inceptionv3", True)]


def names(space):
    return {one.name for one in space}


def test_frozen_layers_are_searched_for_an_inception_that_starts_from_weights_alone():
    assert "frozen_layers" in names(search_space("inceptionv3", given_weights=True))
    assert "frozen_layers" not in names(search_space("inceptionv3", given_weights=False))
    assert "frozen_layers" not in names(search_space("xception", given_weights=True))
    assert "frozen_layers" not in names(search_space("cnn", given_weights=False))


def test_all_of_xception_is_frozen_and_nothing_else_that_starts_from_random_weights():
    assert frozen_layers("xception", given_weights=False) == 133
    assert frozen_layers("xception", given_weights=True) == 133
    assert frozen_layers("inceptionv3", given_weights=False) == 0
    assert frozen_layers("cnn", given_weights=False) == 0


@pytest.mark.parametrize(("network", "given_weights"), SEARCHES)
def test_a_trial_is_asked_for_every_parameter_within_its_range(network, given_weights):
    space = search_space(network, given_weights=given_weights)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(20):
        trial = study.ask()
        values = suggest(trial, space)
        assert values == trial.params
        for one in space:
            if one.kind == "choice":
                assert values[one.name] in one.choices
            else:
                assert one.low <= values[one.name] <= one.high


def test_rates_are_drawn_by_their_logarithm():
    one = Range("learning_rate", "logarithmic", 1e-4, 1e-2)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    drawn = [suggest(study.ask(), [one])["learning_rate"] for _ in range(200)]
    assert 70 < sum(value < 1e-3 for value in drawn) < 130


@pytest.mark.parametrize(("network", "given_weights"), SEARCHES)
def test_the_defaults_are_those_of_train_and_lie_in_the_ranges(network, given_weights):
    space = search_space(network, given_weights=given_weights)
    values = default_values(space)
    assert values.keys() == names(space)
    spec, plan = apply_values(NetworkSpec(), FitPlan(), values)
    assert (spec, plan) == (NetworkSpec(), FitPlan())


def test_a_default_outside_a_range_is_taken_to_its_end():
    space = (
        Range("weight_decay", "logarithmic", 0.1, 0.3),
        Range("batch_size", "choice", choices=(16, 64)),
    )
    assert default_values(space) == {"weight_decay": 0.1, "batch_size": 16}


def test_values_go_to_the_network_and_to_the_fit_by_their_names():
    values = {"hidden_units": 64, "dropout": 0.1, "batch_size": 16, "mixup": 0.0}
    spec, plan = apply_values(NetworkSpec("cnn", 96), FitPlan(epochs=3), values)
    assert spec == NetworkSpec("cnn", 96, hidden_units=64, dropout=0.1)
    assert plan == FitPlan(epochs=3, batch_size=16, mixup=0.0)


def test_a_value_that_nothing_takes_is_refused_by_its_name():
    with pytest.raises(ValueError, match="momentum"):
        apply_values(NetworkSpec(), FitPlan(), {"momentum": 0.9})
