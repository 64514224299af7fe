import numpy as np
import pytest

from facetag.quantification.shrinkage import draw_towards

COUNTED = np.array([0.1, 0.2, 0.3, 0.4])


def test_a_distance_that_chance_explains_leaves_the_counts():
    estimated = COUNTED + np.array([0.01, -0.01, 0.02, -0.02])
    assert draw_towards(COUNTED, estimated, np.full(4, 0.02**2)) == pytest.approx(COUNTED)


def test_a_distance_far_beyond_chance_leaves_the_estimate():
    estimated = np.array([0.4, 0.3, 0.2, 0.1])
    drawn = draw_towards(COUNTED, estimated, np.full(4, 0.01**2))
    assert drawn == pytest.approx(estimated, abs=0.01)


def test_a_group_whose_estimate_is_noisy_is_drawn_further():
    estimated = COUNTED + np.array([0.1, -0.1, 0.1, -0.1])
    drawn = draw_towards(COUNTED, estimated, np.array([0.02, 0.02, 0.1, 0.1]) ** 2)
    moved = np.abs(drawn - estimated)
    assert moved[:2].max() < 0.5 * moved[2:].min()
    assert drawn.sum() == pytest.approx(1)


def test_shares_without_noise_and_shares_alike_are_left():
    assert draw_towards(COUNTED, COUNTED, np.zeros(4)) == pytest.approx(COUNTED)
    estimated = COUNTED[::-1]
    assert draw_towards(COUNTED, estimated, np.zeros(4)) == pytest.approx(estimated)
