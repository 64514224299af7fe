"""Photos made poor: the same each time, the worse the stronger, and still of the same size."""

import numpy as np
import pytest

from facetag_trainer.evaluation.corruptions import (
    CORRUPTIONS,
    STRENGTHS,
    corrupt,
    corrupt_somehow,
)
from tests.unit.trainer.chips import make_chip

CHIP = make_chip(1)


def harm(kind, strength, place=0):
    corrupted = corrupt(CHIP, kind, strength, place)
    assert corrupted.shape == CHIP.shape
    assert corrupted.dtype == np.uint8
    return float(np.square(corrupted.astype(float) - CHIP).mean())


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_stronger_corruption_does_more_harm(kind):
    mean = [np.mean([harm(kind, strength, place) for place in range(6)]) for strength in STRENGTHS]
    assert mean[0] > 0
    # Without colour an image may differ less than in a false one.
    assert mean[0] < mean[1]
    assert kind == "colours" or mean[1] < mean[2]


def test_the_same_place_is_spoiled_in_the_same_way_and_another_in_another():
    assert np.array_equal(corrupt(CHIP, "noise", 2, 5), corrupt(CHIP, "noise", 2, 5))
    assert not np.array_equal(corrupt(CHIP, "noise", 2, 5), corrupt(CHIP, "noise", 2, 6))


def test_places_go_through_all_kinds_and_strengths():
    shown = {corrupt_somehow(CHIP, place).tobytes() for place in range(36)}
    assert len(CORRUPTIONS) == 12
    assert len(shown) == 36
