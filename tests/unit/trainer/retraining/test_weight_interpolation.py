"""The point on the line between the champion's weights and a candidate's."""

import numpy as np
import pytest

from facetag_trainer.retraining.weight_interpolation import (
    ALLOWED,
    Loss,
    Point,
    add_losses,
    choose,
    compare_errors,
    estimate_losses,
    find_allowance,
)

BOTH = ALLOWED["both"]


def point(share, age, gender, new, *, error=0.0):
    return Point(share, {"age": Loss(age, error), "gender": Loss(gender, error)}, new)


POINTS = [
    point(0.25, -0.02, -0.001, 0.95),
    point(0.5, 0.04, 0.001, 0.9),
    point(0.75, 0.04, 0.009, 0.85),
    point(1.0, 0.3, 0.009, 0.8),
]


@pytest.mark.parametrize(("serves", "share"), [("both", 0.5), ("new", 0.75), ("earlier", 0.25)])
def test_of_the_points_that_lose_little_in_every_head_the_best_on_new_images_is_chosen(
    serves, share
):
    assert choose(POINTS, ALLOWED[serves]).share == share


def test_if_every_point_loses_much_the_one_that_loses_least_is_chosen():
    assert choose(POINTS[2:], BOTH).share == 0.75
    # A tenth of a year beyond is half a margin, and a percentage point is a whole one.
    assert choose([point(0.25, 0.15, 0.0, 0.9), point(0.5, 0.0, 0.012, 0.8)], BOTH).share == 0.25


def test_a_loss_that_is_beyond_by_less_than_its_standard_error_is_borne():
    assert choose([POINTS[0], point(1.0, 0.12, 0.001, 0.8, error=0.08)], BOTH).share == 1.0
    assert choose([POINTS[0], point(1.0, 0.12, 0.001, 0.8, error=0.06)], BOTH).share == 0.25


def test_what_was_lost_in_earlier_rounds_may_not_be_lost_again():
    lost = add_losses({}, POINTS[1])
    assert lost == {"age": 0.04, "gender": 0.001}
    left = find_allowance("both", lost)
    assert left == {"age": pytest.approx(0.01), "gender": 0.001, "race": 0.002}
    assert choose(POINTS, left).share == 0.25
    # What is won again may be lost again, but what was never lost is no stock.
    assert find_allowance("both", add_losses(lost, POINTS[0]))["age"] == pytest.approx(0.03)
    assert find_allowance("both", add_losses({}, POINTS[0])) == BOTH
    assert find_allowance("earlier", lost) == ALLOWED["earlier"]
    # Nothing was measured in this round.
    assert add_losses(lost, Point(0.25, {}, 1.0)) == lost


def test_where_new_images_are_too_few_to_tell_points_apart_most_is_kept_of_the_fit():
    alike = [point(share, age, 0.0, 1.0) for share, age in ((0.25, 0.0), (0.5, 0.04), (1.0, 0.3))]
    assert choose(alike, BOTH).share == 0.5


def test_of_points_that_lose_too_little_to_tell_the_one_that_gains_most_is_chosen():
    assert choose([Point(0.25, {}, 0.9), Point(0.5, {}, 0.8)], BOTH).share == 0.5


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


def test_losses_are_years_and_shares_of_labels_by_head():
    rng = np.random.default_rng(1)
    truth = {"age": rng.uniform(1, 90, 100), "gender": rng.integers(0, 2, 100).astype(float)}
    before, after = answers(truth, 4.0, 0.9), answers(truth, 3.0, 0.9)
    lost = estimate_losses(truth, before, after)
    assert lost["age"].value == pytest.approx(-1.0)
    assert (lost["age"].error, lost["gender"]) == (pytest.approx(0, abs=1e-6), Loss(0.0, 0.0))
    # Twice as many wrong labels: the cross entropy rises, and a tenth of all was wrong before.
    wrong = np.arange(100) % 5 == 0
    after["gender"] = np.where((truth["gender"] == 1) ^ wrong, 0.8, 0.2)[:, None]
    gender = estimate_losses(truth, before, after)["gender"]
    assert 0.03 < gender.value < 0.1
    assert 0.005 < gender.error < gender.value
    truth["age"][:90] = np.nan
    assert list(estimate_losses(truth, before, after)) == ["gender"]
