import numpy as np
import pytest

from facetag.vision.network.age_range import AgeRange
from facetag_trainer.evaluation.table_1_metrics import table_1
from facetag_trainer.evaluation.weighted_metrics import measure_head
from facetag_trainer.reports.table_measures import MAIN, find_measure

LABELS = {"age": np.array([20, 30], np.float32), "gender": np.array([0, 1], np.float32)}
LABELS["race"] = LABELS["gender"]
OUTPUTS = {
    "age": np.array([[21], [33]], np.float32),
    "gender": np.array([[0.2], [0.7]], np.float32),
    "race": np.eye(5, dtype=np.float32)[:2],
}


def test_years_have_two_decimals_and_shares_four():
    rmse, accuracy = find_measure("age", "rmse"), find_measure("gender", "accuracy")
    assert [rmse.format(x) for x in (7.345, -0.2, None)] == ["7.34", "-0.20", "–"]
    assert [accuracy.format(x) for x in (0.98765, 1.0, None)] == ["0.9877", "1.0000", "–"]
    assert rmse.format_interval((6.9, 7.12)) == "6.90 to 7.12"
    assert rmse.format_interval(None) == "–"


def test_titles_name_the_unit_and_full_names_the_head():
    rmse = find_measure("age", "rmse")
    assert (rmse.title, rmse.full_name) == ("RMSE (years)", "age RMSE")
    assert find_measure("race", "accuracy").full_name == "race accuracy"


def test_every_measure_that_is_computed_is_listed():
    ranges = AgeRange.from_json({"coverage": 0.8, "knots": [0], "below": [1], "above": [1]})
    for head, row in table_1(LABELS, OUTPUTS).items():
        weighted = measure_head(head, LABELS[head], OUTPUTS[head], np.ones((1, 2)), ranges)
        for field in {*row, *weighted}:
            assert find_measure(head, field).head == head
    with pytest.raises(KeyError):
        find_measure("race", "auc")


def test_the_main_measures_are_one_per_head_and_have_the_papers_figure():
    assert [(one.head, one.field, one.paper) for one in MAIN] == [
        ("age", "rmse", 8.70),
        ("gender", "accuracy", 0.9239),
        ("race", "accuracy", 0.8307),
    ]
