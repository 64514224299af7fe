"""Under weights of 1 measures are scikit-learn's; other weights are as if images were copied."""

import numpy as np
import pytest
from sklearn.metrics import recall_score

from facetag.vision.network.age_range import AgeRange
from facetag_trainer.evaluation.table_1_metrics import table_1
from facetag_trainer.evaluation.weighted_metrics import (
    measure_head,
    measure_main,
    measure_recalls,
)
from facetag_trainer.reports.table_measures import MAIN


def example(count=300, seed=0):
    rng = np.random.default_rng(seed)
    labels = {
        "age": rng.integers(0, 90, count).astype(np.float32),
        "gender": rng.integers(0, 2, count).astype(np.float32),
        "race": rng.integers(0, 4, count).astype(np.float32),
    }
    gender = np.clip(0.3 * labels["gender"] + rng.uniform(0, 0.7, count), 0, 1)
    race = rng.dirichlet(np.ones(5), count) + np.eye(5)[labels["race"].astype(int)] / 3
    outputs = {
        "age": (labels["age"] + rng.normal(0, 7, count))[:, None].astype(np.float32),
        # Two decimals, so that scores tie.
        "gender": gender.round(2)[:, None].astype(np.float32),
        "race": (race / race.sum(axis=1, keepdims=True)).astype(np.float32),
    }
    return labels, outputs


@pytest.mark.parametrize("seed", [0, 1])
def test_values_under_weights_of_1_are_table_1(seed):
    labels, outputs = example(seed=seed)
    for head, row in table_1(labels, outputs).items():
        found = measure_head(head, labels[head], outputs[head], np.ones((1, 300)))
        for name, value in row.items():
            assert found[name][0] == pytest.approx(value, abs=1e-5), (head, name)


def test_a_weight_is_a_number_of_copies():
    labels, outputs = example(60)
    weights = np.random.default_rng(3).integers(0, 4, (5, 60)).astype(float)
    age_range = AgeRange(0.8, [30], [6], [6])
    for head in labels:
        found = measure_head(head, labels[head], outputs[head], weights, age_range)
        (main,) = [measure.field for measure in MAIN if measure.head == head]
        assert np.array_equal(measure_main(head, labels[head], outputs[head], weights), found[main])
        for index, row in enumerate(weights):
            copies = np.repeat(np.arange(60), row.astype(int))
            ones = np.ones((1, len(copies)))
            alone = measure_head(head, labels[head][copies], outputs[head][copies], ones, age_range)
            for name, values in alone.items():
                assert found[name][index] == pytest.approx(values[0], abs=1e-9), (head, name)


def test_what_is_undefined_is_nan_or_what_scikit_learn_says():
    truth, output = np.float32([0, 0]), np.float32([[0.1], [0.2]])
    found = measure_head("gender", truth, output, np.ones((1, 2)))
    assert np.isnan(found["auc"][0])
    assert found["f1"][0] == found["recall"][0] == 0
    assert found["accuracy"][0] == 1


def test_bias_and_coverage_are_of_the_predicted_ages():
    truth, output = np.float32([30, 30, 30, 30]), np.float32([[30], [33], [36], [45]])
    found = measure_head("age", truth, output, np.ones((1, 4)), AgeRange(0.8, [30], [5], [5]))
    assert found["bias"][0] == pytest.approx(6)
    assert found["coverage"][0] == pytest.approx(0.5)


def test_recalls_are_those_of_scikit_learn_and_nan_where_no_image_is_drawn():
    rng = np.random.default_rng(2)
    labels, guess = rng.integers(0, 4, 80), rng.integers(0, 5, 80)
    weights = np.stack([np.ones(80), (labels != 1).astype(float)])
    found = measure_recalls(labels, guess, 5, weights)
    expected = recall_score(labels, guess, average=None, labels=range(4), zero_division=0)
    assert [row[0] for row in found[:4]] == pytest.approx(list(expected))
    assert np.isnan(found[1][1])
    assert np.isnan(found[4]).all()
