"""Which images are for what, and what each treatment makes of the training side."""

import numpy as np
import pytest

from facetag.errors import FacetagError
from facetag_trainer.data.splits import VALIDATION, split_held_out
from facetag_trainer.imbalance.training_examples import Examples, find_sides, take_examples, treat
from tests.unit.trainer.tiny_caches import write_tiny_cache

COUNT, HELD_OUT = 120, 12
RACES = np.float32([0] * 52 + [1] * 28 + [2] * 16 + [3] * 16 + [4] * 8)


@pytest.fixture
def cache(tmp_path):
    races = np.random.default_rng(4).permutation(RACES)
    races[0] = races[30] = np.nan
    return write_tiny_cache(tmp_path / "cache", count=COUNT, labels={"race": races})


@pytest.fixture
def training(cache):
    features = np.random.default_rng(5).normal(size=(COUNT, 6)).astype(np.float32)
    return take_examples(features, cache, "race", find_sides(cache, "race").training)


def test_every_labelled_image_is_on_one_side(cache):
    sides = find_sides(cache, "race")
    everything = np.concatenate(list(sides.by_name().values()))
    assert sorted(everything) == [place for place in range(COUNT) if place not in (0, 30)]


def test_figures_are_of_held_out_images_that_chose_no_epoch(cache):
    sides = find_sides(cache, "race")
    part = split_held_out(cache.hashes[:HELD_OUT])
    assert set(sides.judged) == {place for place in range(1, 12) if part[place] != VALIDATION}
    assert set(sides.validation) == {place for place in range(1, 12) if part[place] == VALIDATION}
    assert min(sides.training) >= HELD_OUT


def test_a_side_without_a_label_is_a_fault_that_says_so(tmp_path):
    races = np.where(np.arange(COUNT) < HELD_OUT, np.nan, 1)
    cache = write_tiny_cache(tmp_path / "cache", count=COUNT, labels={"race": races})
    with pytest.raises(FacetagError, match="label of race is in the validation part"):
        find_sides(cache, "race")


def test_plain_examples_are_left_as_they_are(cache, training):
    assert treat("plain", training, cache, "race", 1) is training


def test_weights_give_every_label_the_same_say(cache, training):
    treated = treat("weighted", training, cache, "race", 1)
    said = np.bincount(treated.labels, weights=treated.weights)
    assert said == pytest.approx(np.full(5, said.mean()), rel=1e-4)
    assert treated.features is training.features


def test_smote_adds_images_until_labels_are_equal_and_keeps_the_real_ones(cache, training):
    treated = treat("smote", training, cache, "race", 1)
    counts = np.bincount(treated.labels)
    assert set(counts) == {np.bincount(training.labels).max()}
    real = len(training.labels)
    assert np.array_equal(treated.features[:real], training.features)
    assert np.array_equal(treated.labels[:real], training.labels)
    assert (treated.weights == 1).all()


def test_what_smote_adds_lies_between_images_of_its_label(cache, training):
    treated = treat("smote", training, cache, "race", 1)
    for label in range(5):
        members = training.features[training.labels == label]
        made = treated.features[len(training.labels) :]
        made = made[treated.labels[len(training.labels) :] == label]
        assert (made >= members.min(axis=0) - 1e-5).all()
        assert (made <= members.max(axis=0) + 1e-5).all()


def test_smote_draws_by_the_seed(cache, training):
    one, same, other = (treat("smote", training, cache, "race", seed) for seed in (1, 1, 2))
    assert np.array_equal(one.features, same.features)
    assert not np.array_equal(one.features, other.features)


def test_a_label_of_a_single_image_is_a_fault_that_counts_them(cache):
    labels = np.array([0, 0, 0, 4])
    alone = Examples(np.eye(4, dtype=np.float32), labels, np.ones(4, np.float32))
    with pytest.raises(FacetagError, match="3 white, 1 other"):
        treat("smote", alone, cache, "race", 1)
