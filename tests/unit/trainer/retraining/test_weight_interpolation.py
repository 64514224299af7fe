"""The point on the line between the champion's weights and a candidate's."""

import numpy as np
import pytest

from facetag_trainer.retraining.weight_interpolation import Point, choose, compare_errors

POINTS = [
    Point(0.25, 1.0, 0.95),
    Point(0.5, 1.004, 0.9),
    Point(0.75, 1.03, 0.85),
    Point(1.0, 1.2, 0.8),
]


@pytest.mark.parametrize(("serves", "share"), [("both", 0.5), ("new", 0.75), ("earlier", 0.25)])
def test_of_the_points_that_lose_little_the_best_on_new_images_is_chosen(serves, share):
    assert choose(POINTS, serves).share == share


def test_if_every_point_loses_much_the_one_that_loses_least_is_chosen():
    assert choose(POINTS[2:], "both").share == 0.75


def answers(truth, years, sure):
    return {
        "age": (truth["age"] + years)[:, None].astype(np.float32),
        # Every tenth is read wrongly.
        "gender": np.where(
            (truth["gender"] == 1) ^ (np.arange(len(truth["gender"])) % 10 == 0), sure, 1 - sure
        )[:, None].astype(np.float32),
    }


def test_errors_are_shares_of_the_champions_and_missing_labels_count_nothing():
    rng = np.random.default_rng(1)
    truth = {"age": rng.uniform(1, 90, 100), "gender": rng.integers(0, 2, 100).astype(float)}
    truth["age"][:40] = np.nan
    unknown = {**truth, "gender": np.full(100, np.nan)}
    before, after = answers(truth, 4.0, 0.9), answers(truth, 3.0, 0.7)
    assert compare_errors(unknown, before, after) == pytest.approx(0.75)
    # Sureness alone is the temperature's: it makes no answer better or worse.
    assert compare_errors(truth, before, after) == pytest.approx(0.875, abs=0.01)
    few = {name: values[-9:] for name, values in truth.items()}
    assert compare_errors(few, before, after) == 1
