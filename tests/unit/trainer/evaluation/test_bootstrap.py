"""Draws are seeded, whole and of the right spread."""

import numpy as np
import pytest

from facetag_trainer.evaluation.bootstrap import central_interval, draw_weights


def test_every_round_draws_as_many_images_as_there_are():
    weights = draw_weights(40, "all", rounds=200)
    assert weights.shape == (200, 40)
    assert (weights.sum(axis=1) == 40).all()
    assert (weights == 0).any()


def test_draws_follow_from_seed_and_name():
    first = draw_weights(20, "female", seed=1, rounds=10)
    assert np.array_equal(first, draw_weights(20, "female", seed=1, rounds=10))
    assert not np.array_equal(first, draw_weights(20, "male", seed=1, rounds=10))
    assert not np.array_equal(first, draw_weights(20, "female", seed=2, rounds=10))


def test_the_interval_of_a_share_has_the_width_that_theory_gives():
    correct = np.arange(900) < 720
    shares = draw_weights(900, "x", rounds=4000) @ correct / 900
    low, high = central_interval(shares)
    half = 1.96 * np.sqrt(0.8 * 0.2 / 900)
    assert low == pytest.approx(0.8 - half, abs=0.004)
    assert high == pytest.approx(0.8 + half, abs=0.004)


def test_rounds_without_a_value_are_left_out_and_too_many_give_no_interval():
    assert central_interval(np.array([0.5, np.nan, 0.5])) == (0.5, 0.5)
    assert central_interval(np.array([0.5, np.nan, np.nan])) is None
    assert central_interval(np.array([np.nan])) is None
