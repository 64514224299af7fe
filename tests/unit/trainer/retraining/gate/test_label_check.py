"""New labels are doubted where the champion, which reads others well, does not agree with them."""

import re

import numpy as np
import pytest

from facetag_trainer.retraining.gate.label_check import Read, check_labels

COUNT = 1500


def read(seed, *, years=6.0, wrong=0.08, count=COUNT):
    """Labels, and a champion's outputs for the images with errors of this size."""
    rng = np.random.default_rng(seed)
    labels = {
        "age": rng.uniform(1, 90, count).astype(np.float32),
        "gender": rng.integers(0, 2, count).astype(np.float32),
        "race": rng.integers(0, 5, count).astype(np.float32),
    }
    gender = np.where(rng.random(count) < wrong, 1 - labels["gender"], labels["gender"])
    race = np.where(rng.random(count) < wrong, (labels["race"] + 1) % 5, labels["race"])
    outputs = {
        "age": (labels["age"] + rng.normal(0, years, count)).astype(np.float32)[:, None],
        "gender": gender.astype(np.float32)[:, None],
        "race": np.eye(5, dtype=np.float32)[race.astype(int)],
    }
    return Read(labels, outputs)


@pytest.fixture(scope="module")
def earlier():
    return read(1)


def relabelled(new, **labels):
    return Read({**new.labels, **labels}, new.outputs)


def doubts(earlier, new):
    found = check_labels(earlier, new)
    assert len(found) == 3
    return [reason for holds, reason in found if not holds]


def test_labels_like_the_earlier_ones_are_believed(earlier):
    assert doubts(earlier, read(2)) == []


def test_images_that_are_harder_to_read_are_believed(earlier):
    assert doubts(earlier, read(3, years=9.0, wrong=0.3)) == []


def test_a_shard_of_ages_that_are_hard_to_read_is_believed_and_shifted_ones_are_doubted(earlier):
    def spread(one):
        errors = np.random.default_rng(1).normal(0, one.labels["age"] / 6)
        return Read(one.labels, {**one.outputs, "age": (one.labels["age"] + errors)[:, None]})

    before, new = spread(earlier), spread(read(11, count=2 * COUNT))
    old = new.take(new.labels["age"] > 70)
    young = before.take((before.labels["age"] < 30) | (np.arange(COUNT) % 4 == 0))
    assert doubts(young, old) == []
    shifted = relabelled(old, age=old.labels["age"] + 40)
    assert len(doubts(young, shifted)) == 1


def test_one_groups_flipped_genders_are_doubted_by_the_name_of_measure_and_group(earlier):
    new = read(4)
    flipped = np.where(new.labels["race"] == 2, 1 - new.labels["gender"], new.labels["gender"])
    (reason,) = doubts(earlier, relabelled(new, gender=flipped))
    assert re.match(
        r"gender accuracy of the champion on the new labels, .*asian, \d+ images", reason
    )
    assert "fails" in reason


def test_shuffled_labels_are_doubted(earlier):
    new, order = read(5), np.random.default_rng(6).permutation(COUNT)
    shuffled = {name: values[order] for name, values in new.labels.items()}
    assert {reason.split()[0] for reason in doubts(earlier, relabelled(new, **shuffled))} >= {
        "age",
        "race",
    }


def test_ages_in_months_are_doubted(earlier):
    new = read(7)
    (reason,) = doubts(earlier, relabelled(new, age=new.labels["age"] * 12))
    assert reason.startswith("age RMSE")


@pytest.mark.parametrize("count", [5, 80])
def test_of_few_images_nothing_is_said(earlier, count):
    found = check_labels(earlier, read(8, count=count))
    assert all(holds and "too few images to check" in reason for holds, reason in found)


def test_heads_whose_labels_are_missing_or_that_are_not_predicted_are_not_doubted(earlier):
    new = read(9)
    without = relabelled(new, gender=np.full(COUNT, np.nan, np.float32))
    assert doubts(earlier, without) == []
    alone = Read(new.labels, {"age": new.outputs["age"]})
    assert [reason.split()[0] for _, reason in check_labels(earlier, alone)] == ["age"]
