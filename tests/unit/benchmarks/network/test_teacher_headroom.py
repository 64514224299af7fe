"""Two that err on different images are better together, and images are found by their looks."""

import numpy as np
import pytest

from benchmarks.network.teacher_headroom import compare, find_images
from facetag.errors import FacetagError

COUNT = 1000


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def test_answers_that_err_apart_are_better_together(rng):
    ages, genders = rng.uniform(0, 80, COUNT), rng.integers(0, 2, COUNT)
    races = rng.integers(0, 5, COUNT)

    def answer():
        logits = rng.normal(2 * (2 * genders - 1), 2)
        scores = np.exp(2 * np.eye(5)[races] + rng.normal(size=(COUNT, 5)))
        return {
            "age": (ages + rng.normal(0, 10, COUNT))[:, None],
            "gender": (1 / (1 + np.exp(-logits)))[:, None],
            "race": scores / scores.sum(axis=1, keepdims=True),
        }

    labels = {"age": ages, "gender": genders.astype(float), "race": races.astype(float)}
    labels["gender"][:100] = np.nan
    found = compare(labels, answer(), answer())
    own, taught, together = found["age"]
    assert (own, taught, together) == pytest.approx((10, 10, 50**0.5), rel=0.1)
    assert found["gender"] == pytest.approx((0.84, 0.84, 0.92), abs=0.03)
    own, taught, together = found["race"]
    assert together > max(own, taught) + 0.03


def test_images_are_found_in_any_order_and_others_are_refused(rng):
    hashes = rng.integers(0, 256, (9, 32), np.uint8)
    assert find_images(hashes, hashes[[4, 0, 8]]).tolist() == [4, 0, 8]
    with pytest.raises(FacetagError, match="other images"):
        find_images(hashes[1:], hashes[:1])
