import numpy as np
import pytest

from facetag.quantification.difference_estimator import DifferenceEstimator, weigh
from facetag.quantification.groupings import GROUPINGS
from facetag.quantification.likelihoods import fit_likelihoods
from tests.unit.facetag.quantification.conftest import draw_faces

GENDER_BY_RACE = GROUPINGS[4]
NOISE = np.full(10, 0.01**2)


def shares_of(faces):
    codes = GENDER_BY_RACE.codes(faces.codes)
    return np.bincount(codes, minlength=len(GENDER_BY_RACE.labels)) / len(codes)


def count(faces):
    return shares_of(type(faces)(faces.answers, faces.answers.counted_codes()))


def fit_estimator(likelihoods, held_out):
    of_faces = likelihoods.of(GENDER_BY_RACE, held_out.answers)
    codes = GENDER_BY_RACE.codes(held_out.codes)
    return DifferenceEstimator.fit(of_faces, codes, np.ones(len(held_out)))


def test_shares_like_the_held_out_ones_are_nearer_than_counts(held_out):
    likelihoods = fit_likelihoods(held_out)
    estimator = fit_estimator(likelihoods, held_out)
    errors, of_counts = [], []
    for seed in range(20):
        drawn = draw_faces(300, seed=200 + seed)
        counted = count(drawn)
        found = estimator.estimate(likelihoods.of(GENDER_BY_RACE, drawn.answers), counted)
        errors.append(np.abs(found - shares_of(drawn)).mean())
        of_counts.append(np.abs(counted - shares_of(drawn)).mean())
        assert found.sum() == pytest.approx(1)
    assert np.mean(errors) < 0.9 * np.mean(of_counts)


def test_weights_say_how_often_a_face_counts(held_out):
    likelihoods = fit_likelihoods(held_out)
    estimator = fit_estimator(likelihoods, held_out)
    drawn = draw_faces(50, seed=5)
    counted = count(drawn)
    twice = estimator.estimate(
        likelihoods.of(GENDER_BY_RACE, drawn.answers), counted, np.full(50, 2.0)
    )
    once = estimator.estimate(likelihoods.of(GENDER_BY_RACE, drawn.answers), counted)
    assert twice == pytest.approx(once)


@pytest.mark.parametrize(("times", "weight"), [(0, 0), (1.4, 0), (3.5**0.5, 0.5), (2.3, 1)])
def test_an_estimate_counts_as_far_as_its_distance_is_beyond_chance(times, weight):
    distance = 0.01 * times * np.tile([1, -1], 5)
    assert weigh(distance, NOISE) == pytest.approx(weight)


def test_two_groups_need_a_larger_distance_which_chance_seldom_makes():
    distance = np.random.default_rng(0).normal(0, 0.01, (2_000, 1)) * np.array([1, -1])
    weights = np.array([weigh(one, np.full(2, 0.01**2)) for one in distance])
    assert 0.03 < (weights > 0).mean() < 0.07


def test_a_group_that_chance_moves_far_tells_less():
    distance = np.array([0.02, -0.02, 0.05, -0.05])
    assert weigh(distance, np.array([0.02, 0.02, 0.05, 0.05]) ** 2) == 0
    assert weigh(distance, np.full(4, 0.014**2)) == 1


def test_without_noise_any_distance_counts():
    assert weigh(np.array([0.1, -0.1]), np.zeros(2)) == 1
    assert weigh(np.zeros(2), np.zeros(2)) == 0


def test_a_face_that_can_only_be_of_a_group_without_held_out_faces_counts_there():
    estimator = DifferenceEstimator(np.array([0.6, 0.4, 0.0]), np.zeros(3))
    found = estimator.estimate(np.array([[0.0, 0.0, 0.3]]), np.array([0.0, 0.0, 1.0]))
    assert found == pytest.approx([0, 0, 1])
