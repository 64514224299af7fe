import numpy as np
import pytest

from benchmarks.composition.__main__ import _draw, _draw_pair
from facetag.quantification.groupings import GROUPINGS
from tests.unit.facetag.quantification.conftest import draw_faces

GENDER, RACE = GROUPINGS[:2]


@pytest.mark.parametrize("seed", range(5))
def test_no_face_occurs_twice_and_no_group_gives_more_than_it_may(seed):
    codes = np.repeat([0, 1, 2], [400, 60, 4])
    most = np.bincount(codes) // 2
    drawn = _draw(codes, most, 300, np.random.default_rng(seed))
    assert len(set(drawn)) == len(drawn) <= 300
    assert (np.bincount(codes[drawn], minlength=3) <= most).all()


def test_faces_of_a_collection_do_not_fit_its_calibration():
    held_out = draw_faces(400, seed=1)
    collection, known = _draw_pair(GENDER, held_out, None, 200, np.random.default_rng(1))
    assert len(collection) + len(known) == 400
    drawn, left = set(map(tuple, collection.answers.race)), set(map(tuple, known.answers.race))
    assert not drawn & left


def test_collections_have_shares_far_from_the_data():
    held_out = draw_faces(1500, seed=1)
    whites = []
    for seed in range(20):
        collection, _ = _draw_pair(RACE, held_out, None, 200, np.random.default_rng(seed))
        whites.append(float((collection.codes["race"] == 0).mean()))
    assert max(whites) - min(whites) > 0.4
