"""Images of earlier rounds and new ones, joined: as they are, and in the style of new ones."""

import numpy as np
import pytest

from facetag_trainer.data.photo_style import NO_DONOR
from facetag_trainer.retraining.material.joined_images import gather_material
from facetag_trainer.retraining.weight_interpolation import find_validation
from tests.unit.trainer.tiny_caches import write_tiny_cache


@pytest.fixture
def earlier(tmp_path):
    return write_tiny_cache(tmp_path / "earlier", count=120, held_out=60)


@pytest.fixture
def new(tmp_path):
    return write_tiny_cache(tmp_path / "new", seed=3)


def test_all_new_images_and_a_small_round_are_joined_and_only_validation_is_held_out(new, earlier):
    material = gather_material(new, [earlier], 0.5, seed=1)
    assert int(material.is_new.sum()) == 48 + len(find_validation(new))
    (restyled,) = material.restyled
    assert material.as_they_are == 60
    assert int((~material.fitting.validation).sum()) == 60 + len(restyled) + 48
    assert len(restyled) > 0
    assert not earlier.validation[restyled].any()
    assert material.fitting.facts["shards"] == {"part.tar": "ab" * 32}


def test_faces_like_the_new_ones_take_their_style_and_come_before_them(new, earlier):
    material = gather_material(new, [earlier], 0.5, seed=1)
    donors, fitting = material.transfer.donors, material.fitting
    taking = np.flatnonzero(donors != NO_DONOR)
    giving = donors[taking]
    first_new = int(np.flatnonzero(material.is_new)[0])
    (restyled,) = material.restyled
    assert taking.tolist() == list(range(first_new - len(restyled), first_new))
    assert material.is_new[giving].all()
    assert not fitting.validation[np.concatenate([taking, giving])].any()
    ages, genders = (fitting.labels[name] for name in ("age", "gender"))
    assert ages[taking].tolist() == earlier.labels["age"][restyled].tolist()
    assert np.abs(ages[taking] - ages[giving]).max() <= 5
    assert np.array_equal(genders[taking], genders[giving])


def test_without_replay_nothing_earlier_is_shown(new, earlier):
    material = gather_material(new, [earlier], 0.0, seed=1)
    assert (material.transfer, material.as_they_are, material.restyled) == (None, 0, [])
