import numpy as np
import pytest

from benchmarks.composition.drawn_collections import Wanted, draw_faces, draw_pair
from facetag.quantification.groupings import GROUPINGS
from tests.unit.facetag.quantification.conftest import draw_faces as draw_answers

GENDER, RACE = GROUPINGS[:2]


@pytest.mark.parametrize("seed", range(5))
def test_no_face_occurs_twice_and_no_group_gives_more_than_it_may(seed):
    codes = np.repeat([0, 1, 2], [400, 60, 4])
    most = np.bincount(codes) // 2
    rng = np.random.default_rng(seed)
    drawn = draw_faces(codes, most, rng.dirichlet(np.ones(3)), 300, rng)
    assert len(set(drawn)) == len(drawn) <= 300
    assert (np.bincount(codes[drawn], minlength=3) <= most).all()


def test_faces_of_a_collection_do_not_fit_its_calibration():
    held_out = draw_answers(400, seed=1)
    collection, known = draw_pair(GENDER, held_out, None, 200, np.random.default_rng(1))
    assert len(collection) + len(known) == 400
    drawn, left = set(map(tuple, collection.answers.race)), set(map(tuple, known.answers.race))
    assert not drawn & left


def test_collections_have_shares_far_from_the_data():
    held_out = draw_answers(1500, seed=1)
    whites = []
    for seed in range(20):
        collection, _ = draw_pair(RACE, held_out, None, 200, np.random.default_rng(seed))
        whites.append(float((collection.codes["race"] == 0).mean()))
    assert max(whites) - min(whites) > 0.4
    rng = np.random.default_rng(1)
    same, _ = draw_pair(RACE, held_out, None, 400, rng, Wanted.AS_DATA)
    assert float((same.codes["race"] == 0).mean()) == pytest.approx(
        float((held_out.codes["race"] == 0).mean()), abs=0.1
    )
