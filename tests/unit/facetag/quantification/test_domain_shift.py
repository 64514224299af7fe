import numpy as np
import pytest

from facetag.quantification.domain_shift import measure_shift, measure_spread
from facetag.quantification.expectation_maximization import estimate_shares
from facetag.quantification.groupings import GROUPINGS
from facetag.quantification.likelihoods import fit_likelihoods
from tests.unit.facetag.quantification.conftest import draw_faces

RACE, AGE, RACE_BY_AGE = GROUPINGS[1], GROUPINGS[2], GROUPINGS[5]


def shift_of(drawn, held_out):
    shares = estimate_shares(fit_likelihoods(held_out).of(RACE, drawn.answers))
    return measure_shift("race", RACE, shares, drawn.answers, held_out)


def test_other_shares_are_no_shift(held_out):
    drawn = draw_faces(500, seed=3, races=(0.05, 0.5, 0.05, 0.2, 0.2))
    assert not shift_of(drawn, held_out).doubtful


def test_photos_that_are_read_with_less_certainty_are_doubtful(held_out):
    assert shift_of(draw_faces(500, seed=4, blur=3.0), held_out).doubtful


def test_ages_state_no_certainty(held_out):
    assert measure_shift("age", AGE, np.full(5, 0.2), held_out.answers, held_out) is None


def spread_of(drawn, held_out):
    shares = estimate_shares(fit_likelihoods(held_out).of(AGE, drawn.answers))
    return measure_spread(shares, drawn.answers, held_out)


@pytest.mark.parametrize("faces", [60, 500])
def test_ages_spread_within_bands_like_the_held_out_ones_are_no_shift(held_out, faces):
    drawn = draw_faces(faces, seed=6)
    assert not spread_of(drawn, held_out).doubtful


def test_ages_of_a_school_are_doubtful(held_out):
    faces = draw_faces(4000, seed=7)
    school = faces.take(np.flatnonzero((faces.answers.age > 10) & (faces.answers.age < 22))[:200])
    assert spread_of(school, held_out).doubtful


def test_groups_without_a_held_out_face_have_no_known_certainty(held_out):
    known = held_out.take(np.flatnonzero(held_out.codes["race"] != 4))
    assert measure_shift("race", RACE, np.eye(5)[4], held_out.answers, known) is None
