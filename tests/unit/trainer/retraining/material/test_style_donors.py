"""Known faces take the styles of new ones that are like them."""

from dataclasses import replace

import numpy as np
import pytest

from facetag_trainer.data.photo_style import NO_DONOR
from facetag_trainer.retraining.material.style_donors import PER_NEW, choose_donors

NAN = float("nan")


@pytest.fixture
def cache_of(tiny_cache):
    """Return a function that makes a cache of faces (age, gender, race); some are held out."""

    def make(faces, held_out=()):
        columns = np.array(faces, np.float32).T
        return replace(
            tiny_cache,
            labels=dict(zip(("age", "gender", "race"), columns, strict=True)),
            validation=np.isin(np.arange(len(faces)), held_out),
        )

    return make


def test_faces_of_the_same_group_and_of_near_age_are_paired(cache_of):
    new = cache_of([(30, 0, 1), (60, 1, 2), (40, 0, 1)], held_out=[2])
    known = [(33, 0, 1), (36, 0, 1), (30, 1, 1), (30, 0, 2), (64, 1, 2), (40, 0, 1), (30, NAN, 1)]
    assert choose_donors(new, [cache_of(known)], 1)[0].tolist() == [
        0, NO_DONOR, NO_DONOR, NO_DONOR, 1, NO_DONOR, 0,
    ]  # fmt: skip


def test_what_is_held_out_takes_nothing_and_every_cache_is_looked_at(cache_of):
    new, known = cache_of([(30, 0, 1)]), cache_of([(30, 0, 1)] * 3, held_out=[0])
    first, second = choose_donors(new, [known, cache_of([(30, 0, 1)])], 1)
    assert first.tolist() == [NO_DONOR, 0, 0]
    assert second.tolist() == [0]


def test_each_new_face_gives_to_a_few_and_each_known_one_takes_once(cache_of):
    new, known = cache_of([(30, 0, 1)] * 5), cache_of([(30, 0, 1)] * 50)
    donors = choose_donors(new, [known], 1)[0]
    assert np.bincount(donors[donors != NO_DONOR]).tolist() == [PER_NEW] * 5
    assert not np.array_equal(donors, choose_donors(new, [known], 2)[0])


def test_new_labels_that_are_missing_are_like_any(cache_of):
    new, known = cache_of([(NAN, 1, NAN)]), cache_of([(80, 1, 0), (2, 1, 4), (30, 0, 1)])
    assert choose_donors(new, [known], 1)[0].tolist() == [0, 0, NO_DONOR]
