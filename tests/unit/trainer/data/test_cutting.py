"""Caches cut down to a share of what is fitted on."""

import numpy as np

from facetag_trainer.data.augment import Jitter
from facetag_trainer.data.cutting import cut_down, in_fold, leave_out
from facetag_trainer.data.splits import VALIDATION, Fold, split_held_out
from facetag_trainer.fit.batches import Feeder
from facetag_trainer.fit.loop import _score
from tests.unit.trainer.tiny_caches import write_tiny_cache


def hashes_of(cache, *, validation):
    return {one.tobytes() for one in cache.hashes[cache.validation == validation]}


def test_about_the_asked_share_of_the_training_samples_stays(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache", count=600, held_out=60)
    assert 110 < (~cut_down(cache, 0.25).validation).sum() < 160
    assert (~cut_down(cache, 1.0).validation).sum() == 540


def test_a_smaller_share_is_a_part_of_a_larger_one(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache", count=600, held_out=60)
    smaller, larger = (hashes_of(cut_down(cache, part), validation=False) for part in (0.2, 0.5))
    assert smaller < larger


def test_the_order_of_the_samples_decides_nothing(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache", count=100, held_out=20)
    order = np.random.default_rng(3).permutation(100)
    other = write_tiny_cache(tmp_path / "other", count=100, held_out=20)
    other.hashes[:], other.validation[:] = cache.hashes[order], cache.validation[order]
    one, two = cut_down(cache, 0.4), cut_down(other, 0.4)
    for validation in (False, True):
        assert hashes_of(one, validation=validation) == hashes_of(two, validation=validation)


def test_what_calibrates_and_judges_is_left_out(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache", count=200, held_out=80)
    part = split_held_out(cache.hashes[cache.validation])
    cut = cut_down(cache, 0.5)
    assert 0 < cut.validation.sum() == (part == VALIDATION).sum() < 80


def test_scores_are_those_of_the_whole_cache(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache", count=200, held_out=80)
    cut = cut_down(cache, 0.5)
    outputs = {"age": np.random.default_rng(0).uniform(1, 80, (200, 1)).astype(np.float32)}
    places = [np.flatnonzero((cache.hashes == one).all(axis=1))[0] for one in cut.hashes]
    whole = _score({"age": outputs["age"][cache.validation]}, cache)
    small = _score({"age": outputs["age"][places][cut.validation]}, cut)
    assert small == whole


def test_all_that_is_held_out_stays_where_nothing_of_it_validates(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache", held_out=20)
    others = split_held_out(cache.hashes[:20]) != VALIDATION
    cache.validation[:20] = others
    assert cut_down(cache, 0.5).validation.sum() == others.sum()


def test_crops_labels_and_hashes_stay_with_one_another(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache")
    cut = cut_down(cache, 0.5)
    assert len(cut.crops) == len(cut.hashes) == len(cut.inside) == len(cut.labels["age"]) < 60
    for index in range(len(cut.crops)):
        (place,) = np.flatnonzero((cache.hashes == cut.hashes[index]).all(axis=1))
        assert np.array_equal(cut.crops[index], cache.crops[place])
        assert cut.labels["age"][index] == cache.labels["age"][place]


def test_a_cut_cache_feeds_a_fit(tmp_path):
    cut = cut_down(write_tiny_cache(tmp_path / "cache"), 0.5)
    feeder = Feeder(cut, ("age",), 8, 1, Jitter())
    batches = list(feeder.epoch(0))
    assert len(batches) == feeder.steps == (~cut.validation).sum() // 8
    assert all(batch.images.shape == (8, 32, 32, 3) for batch in batches)


def test_a_fold_is_left_out_of_what_is_fitted_on_alone(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache")
    left = leave_out(cache, Fold(2, 3))
    members = in_fold(cache, Fold(2, 3))
    assert 0 < members.sum() < 48
    assert not members[cache.validation].any()
    assert hashes_of(left, validation=True) == hashes_of(cache, validation=True)
    gone = hashes_of(cache, validation=False) - hashes_of(left, validation=False)
    assert gone == {one.tobytes() for one in cache.hashes[members]}


def test_every_training_sample_is_in_one_fold(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache")
    folds = [in_fold(cache, Fold(number, 3)) for number in (1, 2, 3)]
    assert np.array_equal(np.sum(folds, axis=0), ~cache.validation)
