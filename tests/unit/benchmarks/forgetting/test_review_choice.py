"""Retrainings on faces that are reviewed by doubt or at random, made small."""

import numpy as np
import pytest

from benchmarks.forgetting.review_choice import (
    ANY,
    CHOICES,
    DOUBT,
    GROUPS,
    choose_reviews,
    compare_choices,
    to_text,
)
from facetag_trainer.retraining.candidate import RetrainingPlan

pytestmark = pytest.mark.timeout(600)
PLAN = RetrainingPlan(1.0, options={"epochs": 1, "batch_size": 8})


def test_the_gain_of_each_choice_of_reviews_is_stated_per_100(champion, earlier, domains, tmp_path):
    told = []
    found = compare_choices(champion, earlier, domains[0], 40, PLAN, tmp_path, on_say=told.append)
    rows = found["heads"]["age"]["choices"]
    assert list(rows) == list(CHOICES)
    assert rows[ANY]["beyond_any"] == 0
    champions = found["heads"]["age"]["champion"]
    assert rows[DOUBT]["gain"] == pytest.approx(champions - rows[DOUBT]["value"])
    text = to_text({**found, "machine": "here"})
    assert f"| age RMSE | {ANY} | {champions:.3f} |" in text
    assert f"| {rows[DOUBT]['gain'] / 0.4:+.3f} (" in text


def test_the_most_doubtful_faces_are_chosen_and_of_each_group_some():
    sure = np.array([0.9, 0.6, 0.95, 0.7, 0.8, 0.99], np.float32)
    seen = {
        "age": np.full((6, 1), 30, np.float32),
        # The last two are read as male.
        "gender": np.where(np.arange(6) < 4, sure, 1 - sure)[:, None],
        "race": np.tile(np.float32([1, 0, 0, 0, 0]), (6, 1)),
    }
    assert list(choose_reviews(DOUBT, seen, 3)) == [1, 3, 4]
    assert list(choose_reviews(GROUPS, seen, 3)) == [1, 4, 3]
    some = choose_reviews(ANY, seen, 3)
    assert len(set(some)) == 3
    assert list(some) == list(choose_reviews(ANY, seen, 3))
