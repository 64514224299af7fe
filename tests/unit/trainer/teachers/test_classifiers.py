"""Answers of classifiers on descriptors: right where labels can be told, and out of fold."""

import numpy as np
import pytest

from facetag_trainer.data.splits import split_folds
from facetag_trainer.teachers.classifiers import FOLDS, answer_out_of_fold

COUNT = 240


@pytest.fixture(scope="module")
def told():
    """Descriptors, labels and hashes of images whose labels can be told but for a little noise."""
    rng = np.random.default_rng(2)
    race = rng.integers(0, 5, COUNT).astype(np.float32)
    gender = rng.integers(0, 2, COUNT).astype(np.float32)
    age = rng.uniform(1, 90, COUNT).astype(np.float32)
    descriptors = rng.normal(0, 0.05, (COUNT, 16))
    descriptors[np.arange(COUNT), race.astype(int)] += 0.5
    descriptors[:, 6] += gender - 0.5
    descriptors[:, 7] += age / 100
    hashes = rng.integers(0, 256, (COUNT, 32), np.uint8)
    held_out = np.arange(COUNT) % 10 == 0
    labels = {"age": age, "gender": gender, "race": race}
    return descriptors.astype(np.float32), labels, hashes, held_out


def test_labels_are_told_of_images_fitted_on_and_held_out(told):
    descriptors, labels, hashes, held_out = told
    answers = answer_out_of_fold(descriptors, labels, hashes, held_out)
    for part in (held_out, ~held_out):
        assert ((answers["gender"][part, 0] > 0.5) == (labels["gender"][part] == 1)).mean() > 0.95
        assert (answers["race"][part].argmax(axis=1) == labels["race"][part]).mean() > 0.95
        assert np.abs(answers["age"][part, 0] - labels["age"][part]).mean() < 10
    assert answers["race"].sum(axis=1) == pytest.approx(np.ones(COUNT), abs=0.02)


def test_an_answer_does_not_change_with_the_label_that_it_is_about(told):
    """A machine that had seen the label would lean towards it."""
    descriptors, labels, hashes, held_out = told
    folds = split_folds(hashes[~held_out], FOLDS)
    one = np.flatnonzero(~held_out)[np.flatnonzero(folds == 1)]
    lied = labels["age"].copy()
    lied[one] = 100 - lied[one]
    told_lies = {"age": lied}
    answers = answer_out_of_fold(descriptors, {"age": labels["age"]}, hashes, held_out)
    others = answer_out_of_fold(descriptors, told_lies, hashes, held_out)
    assert np.array_equal(answers["age"][one], others["age"][one])
    assert not np.array_equal(answers["age"], others["age"])


def test_missing_labels_teach_nothing_and_are_answered_for(told):
    descriptors, labels, hashes, held_out = told
    race = labels["race"].copy()
    race[5:40] = np.nan
    answers = answer_out_of_fold(descriptors, {"race": race}, hashes, held_out)
    assert (answers["race"][5:40].argmax(axis=1) == labels["race"][5:40]).mean() > 0.9


@pytest.mark.parametrize("codes", [(0, 1), (1, 3)])
def test_two_races_of_five_are_told_apart(told, codes):
    descriptors, labels, hashes, held_out = told
    race = np.where(np.isin(labels["race"], codes), labels["race"], np.nan)
    known = ~np.isnan(race)
    answers = answer_out_of_fold(descriptors, {"race": race}, hashes, held_out)
    assert answers["race"].shape == (COUNT, 5)
    assert (answers["race"][known].argmax(axis=1) == race[known]).mean() > 0.95


def test_a_head_of_which_too_few_labels_are_known_is_left_out(told):
    descriptors, labels, hashes, held_out = told
    few = {
        "age": np.full(COUNT, np.nan, np.float32),
        "gender": np.ones(COUNT, np.float32),
        "race": labels["race"],
    }
    assert answer_out_of_fold(descriptors, few, hashes, held_out).keys() == {"race"}


def test_a_set_of_which_nothing_is_held_out_and_a_fold_is_empty_is_answered_for(told):
    descriptors, labels, hashes, _ = told
    some = np.flatnonzero(split_folds(hashes, FOLDS) != 3)
    answers = answer_out_of_fold(
        descriptors[some],
        {"gender": labels["gender"][some]},
        hashes[some],
        np.zeros(len(some), bool),
    )
    right = (answers["gender"][:, 0] > 0.5) == (labels["gender"][some] == 1)
    assert right.mean() > 0.95
