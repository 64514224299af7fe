"""Table 1 against values worked out by hand."""

import json

import numpy as np
import pytest

from facetag_trainer.evaluation.table_1_metrics import flatten, table_1


def column(*values):
    return np.array(values, np.float32)[:, None]


def test_age_by_hand():
    labels = {"age": np.float32([10, 20, 30, 40])}
    row = table_1(labels, {"age": column(13, 16, 30, 50)})["age"]
    assert row == pytest.approx({"rmse": (125 / 4) ** 0.5, "mae": 17 / 4, "cs5": 3 / 4}, rel=1e-6)


def test_an_error_of_exactly_five_years_is_within_five():
    assert table_1({"age": np.float32([10])}, {"age": column(15)})["age"]["cs5"] == 1


def test_gender_by_hand_with_female_as_the_positive_class():
    labels = {"gender": np.float32([1, 1, 1, 0, 0])}
    row = table_1(labels, {"gender": column(0.9, 0.5, 0.2, 0.6, 0.1)})["gender"]
    # Guessed female: two rightly (0.5 counts), one wrongly; one missed. Of six pairs of a woman
    # and a man four are ranked rightly: 0.9 over both, 0.5 and 0.2 over 0.1.
    expected = {"accuracy": 3 / 5, "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "auc": 4 / 6}
    assert row == pytest.approx(expected)


def test_race_by_hand():
    guesses = np.eye(5, dtype=np.float32)[[0, 0, 1, 2, 2]]
    row = table_1({"race": np.float32([0, 1, 1, 2, 2])}, {"race": guesses})["race"]
    assert row == pytest.approx({"accuracy": 4 / 5, "macro_f1": (2 / 3 + 2 / 3 + 1) / 3})


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_has_no_auc_and_is_still_json(label):
    row = table_1({"gender": np.float32([label, label])}, {"gender": column(0.2, 0.7)})["gender"]
    assert row["auc"] is None
    assert row["accuracy"] == 0.5
    json.dumps(row, allow_nan=False)


def test_missing_labels_do_not_count():
    labels = {"age": np.float32([10, np.nan, 30]), "gender": np.float32([np.nan, 1, 0])}
    outputs = {"age": column(10, 99, 34), "gender": column(0.9, 0.9, 0.1)}
    table = table_1(labels, outputs)
    assert table["age"]["mae"] == 2
    assert table["gender"]["accuracy"] == 1


def test_a_head_without_any_label_is_left_out():
    labels = {"age": np.float32([10]), "race": np.float32([np.nan])}
    outputs = {"age": column(10), "race": np.full((1, 5), 0.2, np.float32)}
    assert list(table_1(labels, outputs)) == ["age"]


def test_a_table_becomes_one_line_without_what_is_none():
    table = {"n": 3, "age": {"mae": 2.0}, "gender": {"auc": None, "f1": 0.5}}
    assert flatten(table) == {"age_mae": 2.0, "gender_f1": 0.5}
