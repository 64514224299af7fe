"""What a study found, read out of Optuna."""

import optuna
import pytest

from facetag_trainer.tuning.search_space import Range
from facetag_trainer.tuning.study_results import best_plan, format_value, read_results

SPACE = (
    Range("learning_rate", "logarithmic", 1e-4, 1e-2),
    Range("batch_size", "choice", choices=(16, 32)),
    Range("dropout", "linear", 0.1, 0.6),
)
PLAN = {
    "network": "cnn",
    "age_output": "distribution",
    "frozen_layers": 0,
    "starting_weights": None,
    "space": [one.to_json() for one in SPACE],
}


def begin(plan=PLAN):
    study = optuna.create_study(
        study_name="s", sampler=optuna.samplers.RandomSampler(seed=1), pruner=None
    )
    study.set_user_attr("plan", plan)
    return study


def add(study, value, *, state=optuna.trial.TrialState.COMPLETE, rate=1e-3, batch=16, dropout=0.2):
    floats = optuna.distributions.FloatDistribution
    study.add_trial(
        optuna.create_trial(
            state=state,
            value=value,
            params={"learning_rate": rate, "batch_size": batch, "dropout": dropout},
            distributions={
                "learning_rate": floats(1e-4, 1e-2, log=True),
                "batch_size": optuna.distributions.CategoricalDistribution((16, 32)),
                "dropout": floats(0.1, 0.6),
            },
            user_attrs={"best_epoch": {"epoch": 1, "score": value, "age": {"rmse": 9.0}}},
            intermediate_values={0: 3.0, 1: 2.0},
        )
    )


@pytest.fixture
def study():
    study = begin()
    add(study, 2.0)
    add(study, 1.5, rate=0.005)
    add(study, 1.4, state=optuna.trial.TrialState.PRUNED)
    add(study, 1.8)
    return study


def test_the_best_trial_is_a_complete_one(study):
    best = read_results(study).best
    assert (best.number, best.value, best.values["learning_rate"]) == (1, 1.5, 0.005)
    assert best.measures == {"age_rmse": 9.0}
    assert best.epochs == 2


def test_the_best_so_far_falls_with_complete_trials_alone(study):
    assert [one.best_so_far for one in read_results(study).trials] == [2.0, 1.5, 1.5, 1.5]


def test_states_are_counted_and_the_space_is_read_back(study):
    results = read_results(study)
    assert (results.count("complete"), results.count("pruned")) == (3, 1)
    assert results.count("complete", "pruned") == 4
    assert results.space == SPACE
    assert results.defaults == {"learning_rate": 3e-4, "batch_size": 32, "dropout": 0.4}


def test_an_empty_study_has_no_best_and_no_importances():
    results = read_results(begin())
    assert results.best is None
    assert results.importances is None
    assert best_plan(results) == {}


def test_a_queued_first_trial_shows_its_values():
    study = begin()
    study.enqueue_trial({"learning_rate": 3e-4})
    (one,) = read_results(study).trials
    assert (one.state, one.values, one.value) == ("waiting", {"learning_rate": 3e-4}, None)


def test_importances_wait_for_enough_complete_trials(study):
    assert read_results(study).importances is None
    add(study, 1.9)
    assert read_results(study).importances is not None


def test_importances_wait_for_scores_that_differ():
    study = begin()
    for rate in (1e-3, 2e-3, 3e-3, 4e-3, 5e-3):
        add(study, 1.0, rate=rate)
    assert read_results(study).importances is None


def test_the_parameter_that_matters_is_the_most_important():
    study = begin()
    for number in range(24):
        rate = 1e-4 * (1 + number)
        dropout = 0.1 + 0.02 * ((number * 7) % 24)
        add(study, rate * 100, rate=rate, batch=(16, 32)[number % 2], dropout=dropout)
    importances = read_results(study).importances
    assert next(iter(importances)) == "learning_rate"
    assert importances["learning_rate"] > 0.6
    assert sum(importances.values()) == pytest.approx(1)
    assert importances == read_results(study).importances


def test_the_best_plan_has_the_studys_network_and_the_best_values(study):
    assert best_plan(read_results(study)) == {
        "backbone": "cnn",
        "age_output": "distribution",
        "frozen_layers": 0,
        "learning_rate": 0.005,
        "batch_size": 16,
        "dropout": 0.2,
    }


@pytest.mark.parametrize(
    ("value", "text"), [(0.000123456, "0.000123"), (0.25, "0.25"), (64, "64"), ("x", "x")]
)
def test_values_are_written_in_three_digits(value, text):
    assert format_value(value) == text
