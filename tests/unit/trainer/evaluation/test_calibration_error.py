"""A network as right as it says has no calibration error; one that boasts has its excess."""

import numpy as np
import pytest

from facetag_trainer.evaluation.calibration_error import (
    calibration_error,
    chosen_labels,
    reliability,
)


def error(head, truth, output):
    return calibration_error(head, truth, output, np.ones((1, len(truth))))[0]


def test_a_network_that_is_as_right_as_it_says_has_no_error():
    truth = np.float32([1] * 9 + [0] + [0] * 9 + [1])
    output = np.float32([[0.9]] * 10 + [[0.1]] * 10)
    assert error("gender", truth, output) == pytest.approx(0, abs=1e-6)


def test_the_error_is_how_much_surer_than_right_it_is():
    race = np.float32([[0.9, 0.1, 0, 0, 0]] * 10)
    assert error("race", np.float32([0] * 6 + [1] * 4), race) == pytest.approx(0.3, abs=1e-6)
    assert error("race", np.float32([1] * 10), race) == pytest.approx(0.9, abs=1e-6)


def test_errors_of_bins_add_up_by_their_images_and_do_not_cancel():
    truth = np.float32([1, 1, 1, 0])
    output = np.float32([[0.7], [0.7], [0.99], [0.99]])
    assert error("gender", truth, output) == pytest.approx(0.5 * 0.3 + 0.5 * 0.49, abs=1e-6)


def test_bins_hold_every_image_with_its_mean_probability_and_accuracy():
    truth = np.float32([1, 0, 1, 0])
    output = np.float32([[0.62], [0.64], [1.0], [0.0]])
    low, high = reliability("gender", truth, output)
    assert (low.n, low.accuracy) == (2, 0.5)
    assert low.probability == pytest.approx(0.63)
    assert low.low <= 0.63 < low.high
    assert (high.n, high.accuracy, high.high) == (2, 1.0, 1.0)


def test_the_chosen_label_is_the_likeliest():
    assert chosen_labels("gender", np.float32([[0.5], [0.49]])).tolist() == [1, 0]
    assert chosen_labels("race", np.float32([[0.1, 0.2, 0.3, 0.3, 0.1]])).tolist() == [2]
