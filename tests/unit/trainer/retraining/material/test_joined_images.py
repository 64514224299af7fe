"""Images of earlier rounds and new ones, joined: as they are, and in the style of new ones."""

import numpy as np
import pytest

from facetag_trainer.data.photo_style import NO_DONOR
from facetag_trainer.retraining.material import replay
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
    assert int((~material.fitting.validation).sum()) == 60 + 48
    assert [len(indices) for indices in material.replayed] == [60]
    assert material.restyled == 0


def test_what_is_not_replayed_as_it_is_takes_the_looks_of_new_images(new, earlier, monkeypatch):
    monkeypatch.setattr(replay, "FEWEST", 10)
    material = gather_material(new, [earlier], 0.2, seed=1)
    assert material.restyled == len(material.replayed[0]) - 12 > 0
    donors, fitting = material.transfer.donors, material.fitting
    taking = np.flatnonzero(donors != NO_DONOR)
    giving = donors[taking]
    assert not material.is_new[taking].any()
    assert material.is_new[giving].all()
    assert not fitting.validation[np.concatenate([taking, giving])].any()
    ages, genders = (fitting.labels[name] for name in ("age", "gender"))
    assert np.abs(ages[taking] - ages[giving]).max() <= 5
    assert np.array_equal(genders[taking], genders[giving])


def test_without_replay_nothing_earlier_is_shown(new, earlier):
    material = gather_material(new, [earlier], 0.0, seed=1)
    assert material.transfer is None
    assert [len(indices) for indices in material.replayed] == [0]
