"""Means, spreads and intervals of accuracy, macro F1 and recalls over fits."""

import numpy as np
import pytest
from sklearn import metrics

from facetag_trainer.imbalance.minority_measures import (
    compare,
    draw_measures,
    recall_names,
    summarise,
)


def outputs_of(guesses):
    return np.eye(5, dtype=np.float32)[guesses]


def example(count=200, right=0.7, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 5, count)
    guess = np.where(rng.uniform(size=count) < right, truth, rng.integers(0, 5, count))
    return truth, guess


def test_figures_are_those_of_scikit_learn():
    truth, guess = example()
    found = summarise(draw_measures("race", truth, [outputs_of(guess)]))
    assert found["accuracy"].value == pytest.approx(metrics.accuracy_score(truth, guess))
    f1 = metrics.f1_score(truth, guess, average="macro")
    assert found["macro_f1"].value == pytest.approx(f1)
    recalls = metrics.recall_score(truth, guess, average=None)
    assert [found[name].value for name in recall_names("race")] == pytest.approx(list(recalls))


def test_a_gender_has_the_recalls_of_both_labels_and_the_mean_of_both_f1():
    truth, probability = np.array([0, 0, 0, 1]), np.float32([[0.1], [0.5], [0.2], [0.9]])
    found = summarise(draw_measures("gender", truth, [probability]))
    assert found["recall_male"].value == pytest.approx(2 / 3)
    assert found["recall_female"].value == 1
    assert found["macro_f1"].value == pytest.approx((0.8 + 2 / 3) / 2)


def test_a_figure_is_the_mean_over_fits_with_their_standard_deviation():
    truth = np.arange(20) % 5
    wrong = np.where(np.arange(20) < 10, (truth + 1) % 5, truth)
    found = summarise(draw_measures("race", truth, [outputs_of(truth), outputs_of(wrong)]))
    assert found["accuracy"].value == pytest.approx(0.75)
    assert found["accuracy"].spread == pytest.approx(0.5 / np.sqrt(2))


def test_a_single_fit_has_no_spread():
    truth, guess = example()
    assert summarise(draw_measures("race", truth, [outputs_of(guess)]))["accuracy"].spread is None


def test_the_interval_holds_the_value_and_narrows_with_images():
    widths = []
    for count in (100, 2000):
        truth, guess = example(count)
        figure = summarise(draw_measures("race", truth, [outputs_of(guess)]))["accuracy"]
        low, high = figure.interval
        assert low < figure.value < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 3


def test_a_handful_of_images_has_no_interval():
    truth = np.arange(5)
    assert summarise(draw_measures("race", truth, [outputs_of(truth)]))["accuracy"].interval is None


def test_the_recall_of_a_label_that_no_image_has_is_not_known():
    truth = np.arange(40) % 4
    found = summarise(draw_measures("race", truth, [outputs_of(truth)] * 2))
    assert found["recall_other"].to_json() == {"value": None, "spread": None, "interval": None}
    assert found["recall_white"].value == 1


def test_a_gain_is_told_on_the_same_images_and_so_more_narrowly():
    truth, guess = example(400)
    better = guess.copy()
    better[np.flatnonzero(guess != truth)[:20]] = truth[np.flatnonzero(guess != truth)[:20]]
    plain, other = (draw_measures("race", truth, [outputs_of(one)]) for one in (guess, better))
    gain = compare(other, plain)["accuracy"]
    assert gain.value == pytest.approx(0.05)
    assert gain.spread is None
    low, high = gain.interval
    assert 0 < low < 0.05 < high
    alone = summarise(other)["accuracy"].interval
    assert high - low < alone[1] - alone[0]
