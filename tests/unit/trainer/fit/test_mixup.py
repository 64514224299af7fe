"""Smoothed and mixed targets."""

import numpy as np
import pytest

from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.mixup import Softening


def example():
    images = np.float32([0, 100])[:, None, None, None] * np.ones((2, 4, 4, 3), np.float32)
    targets = {
        "age": np.float32([20, 60]),
        "gender": np.float32([0, 1]),
        "race": np.float32([0, 3]),
    }
    return images, targets, {name: np.ones(2, np.float32) for name in targets}


class Swapped:
    """A generator that pairs each image with the other and keeps a share of three quarters."""

    def permutation(self, count):
        return np.arange(count)[::-1]

    def beta(self, *_):
        return np.array([0.25, 0.75])


def test_smoothing_spreads_its_share_over_all_labels_and_leaves_ages():
    _, targets, _ = Softening(0.1, 0).soften(*example(), np.random.default_rng(1))
    assert targets["age"].tolist() == [20, 60]
    assert targets["gender"] == pytest.approx([0.05, 0.95])
    assert targets["race"][0] == pytest.approx([0.92, 0.02, 0.02, 0.02, 0.02])
    assert targets["race"][1].argmax() == 3


def test_mixing_blends_images_and_all_targets_by_the_same_share():
    images, targets, weights = Softening(0, 0.2).soften(*example(), Swapped())
    assert images[:, 0, 0, 0].tolist() == [25, 75]
    assert targets["age"].tolist() == [30, 50]
    assert targets["gender"].tolist() == [0.25, 0.75]
    assert targets["race"][0].tolist() == [0.75, 0, 0, 0.25, 0]
    assert weights["race"].tolist() == [1, 1]


def test_a_pair_of_which_one_label_is_missing_teaches_that_head_nothing():
    images, targets, weights = example()
    weights["race"] = np.float32([1, 0])
    _, _, mixed = Softening(0, 0.2).soften(images, targets, weights, Swapped())
    assert mixed["race"].tolist() == [0, 0]
    assert mixed["age"].tolist() == [1, 1]


def test_an_image_is_always_the_larger_part_of_its_own_mixture():
    rng = np.random.default_rng(2)
    images = np.arange(64, dtype=np.float32)[:, None, None, None] * np.ones((64, 1, 1, 3))
    targets = {"age": np.zeros(64, np.float32)}
    mixed, *_ = Softening(0, 0.4).soften(images.astype(np.float32), targets, targets, rng)
    assert (np.abs(mixed[:, 0, 0, 0] - np.arange(64)) <= 32).all()
    assert not np.array_equal(mixed, images)


@pytest.mark.parametrize(
    "wrong", [{"label_smoothing": 1.0}, {"averaging": 1.0}, {"mixup": -0.1}, {"averaging": -0.5}]
)
def test_a_plan_refuses_what_makes_no_sense(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FitPlan(**wrong)
