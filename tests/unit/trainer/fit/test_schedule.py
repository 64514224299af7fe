"""When the rate falls on a plateau and when a fit stops, from scores alone."""

import pytest

from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.losses import plateau_rate
from facetag_trainer.fit.schedule import count_drops, is_stalled


@pytest.mark.parametrize(
    ("scores", "drops"),
    [
        ([], 0),
        ([3, 2, 1], 0),
        ([3, 2, 2.1], 0),
        ([3, 2, 2.1, 2.2], 1),
        ([3, 2, 2.1, 2.2, 2.3], 1),
        ([3, 2, 2.1, 2.2, 2.3, 2.4], 2),
        ([3, 2, 2.1, 1.9, 2.0, 2.0], 1),
    ],
)
def test_the_rate_falls_after_every_two_epochs_without_a_better_score(scores, drops):
    assert count_drops(scores, 2) == drops


def test_an_equal_score_is_no_better_one():
    assert count_drops([1, 1], 1) == 1


@pytest.mark.parametrize(
    ("scores", "stalled"), [([], False), ([1], False), ([1, 2], False), ([1, 2, 3], True)]
)
def test_a_fit_stalls_once_its_best_score_is_two_epochs_old(scores, stalled):
    assert is_stalled(scores, 2) is stalled
    assert is_stalled(scores, None) is False


def test_a_plateaus_rate_warms_up_and_then_follows_the_drops():
    plan = FitPlan(
        epochs=4, learning_rate=0.01, warm_up_steps=10, plateau_epochs=1, plateau_factor=0.5
    )
    rates = [plateau_rate(plan, 20, place, []) for place in range(12)]
    assert rates[0] == pytest.approx(0.001)
    assert rates[9] == rates[11] == 0.01
    assert plateau_rate(plan, 20, 60, [1, 2, 3]) == pytest.approx(0.0025)
