import numpy as np
import pytest

from facetag.quantification.expectation_maximization import estimate_shares
from facetag.quantification.groupings import GROUPINGS
from facetag.quantification.likelihoods import fit_likelihoods
from tests.unit.facetag.quantification.conftest import draw_faces


def test_estimated_shares_are_nearer_the_truth_than_counted_ones(held_out):
    fitted = fit_likelihoods(held_out)
    errors = {"counted": [], "estimated": []}
    for seed in range(5):
        drawn = draw_faces(600, seed=10 + seed, female=0.15, races=(0.1, 0.1, 0.1, 0.1, 0.6))
        for grouping in GROUPINGS[:2]:
            groups = len(grouping.labels)
            truth = np.bincount(grouping.codes(drawn.codes), minlength=groups) / 600
            counts = np.bincount(grouping.codes(drawn.answers.counted_codes()), minlength=groups)
            estimated = estimate_shares(fitted.of(grouping, drawn.answers))
            errors["counted"].append(np.abs(counts / 600 - truth).mean())
            errors["estimated"].append(np.abs(estimated - truth).mean())
    assert np.mean(errors["estimated"]) < 0.5 * np.mean(errors["counted"])


def test_shares_are_one_in_sum_and_equal_without_faces():
    assert estimate_shares(np.zeros((0, 4))).tolist() == [0.25] * 4
    found = estimate_shares(np.array([[1.0, 0.1], [1.0, 0.1], [0.1, 1.0]]))
    assert np.isclose(found.sum(), 1)
    assert found[0] > found[1]


def test_a_face_may_count_several_times():
    likelihoods = np.array([[1.0, 0.1], [0.1, 1.0]])
    repeated = estimate_shares(likelihoods[[0, 0, 0, 1]])
    assert np.allclose(estimate_shares(likelihoods, np.array([3.0, 1.0])), repeated, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_no_round_moves_the_shares_that_are_found(seed):
    chances = np.random.default_rng(seed).dirichlet(np.ones(5), 200)
    found = estimate_shares(chances)
    renewed = (found * (chances / (chances @ found)[:, None]).sum(axis=0) + 1) / 205
    assert renewed == pytest.approx(found, abs=2e-6)
