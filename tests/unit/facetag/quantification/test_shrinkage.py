import numpy as np
import pytest

from facetag.quantification.shrinkage import weigh

NOISE = np.full(4, 0.01**2)


@pytest.mark.parametrize(("times", "weight"), [(0, 0), (1.4, 0), (3.5**0.5, 0.5), (2.3, 1)])
def test_an_estimate_counts_as_far_as_its_distance_is_beyond_chance(times, weight):
    distance = 0.01 * times * np.array([1, -1, 1, -1])
    assert weigh(distance, NOISE) == pytest.approx(weight)


def test_a_group_that_chance_moves_far_tells_less():
    distance = np.array([0.02, -0.02, 0.05, -0.05])
    assert weigh(distance, np.array([0.02, 0.02, 0.05, 0.05]) ** 2) == 0
    assert weigh(distance, np.full(4, 0.015**2)) == 1


def test_without_noise_any_distance_counts():
    assert weigh(np.array([0.1, -0.1]), np.zeros(2)) == 1
    assert weigh(np.zeros(2), np.zeros(2)) == 0
