"""What is printed agrees with what was measured, with and without some of the images."""

import json

import numpy as np
import pytest

from facetag.vision.network.age_range import AgeRange
from facetag_trainer.data.shards import Sample
from facetag_trainer.evaluation.bundle_evaluation import Evaluation
from facetag_trainer.evaluation.evaluation_results import (
    measure_evaluation,
    measure_outputs,
    results_json,
)
from facetag_trainer.evaluation.table_1_metrics import table_1
from tests.unit.trainer.evaluation.test_weighted_metrics import example

RANGE = AgeRange(0.8, [40], [9], [9])


def evaluation(count=120):
    labels, outputs = example(count)
    labels["race"][:10] = np.nan
    return Evaluation(
        samples=[Sample(f"{index}.jpg", b"", {}) for index in range(count)],
        labels=labels,
        outputs=outputs,
        hashes=np.zeros((count, 32), np.uint8),
        age_range=RANGE,
        faceless=0,
        invalid=0,
    )


def test_the_table_is_table_1_with_calibration_coverage_and_intervals():
    found = evaluation()
    table = measure_evaluation(found).table()
    expected = table_1(found.labels, found.outputs)
    for head, row in expected.items():
        for name, value in row.items():
            assert table[head][name] == value
            low, high = table["intervals"][head][name]
            assert low <= value <= high
    assert list(table["age"]) == ["rmse", "mae", "cs5", "coverage"]
    assert list(table["gender"])[-1] == list(table["race"])[-1] == "ece"
    covered = RANGE.covers(found.outputs["age"][:, 0], found.labels["age"])
    assert table["age"]["coverage"] == pytest.approx(covered.mean())


def test_some_of_the_images_are_measured_as_if_there_were_no_others():
    found = evaluation()
    keep = np.arange(120) % 3 > 0
    labels = {name: values[keep] for name, values in found.labels.items()}
    outputs = {name: values[keep] for name, values in found.outputs.items()}
    assert (
        measure_evaluation(found, keep).table() == measure_outputs(labels, outputs, RANGE).table()
    )
    assert measure_evaluation(found, keep).n == 80


def test_what_is_printed_is_valid_json_and_says_both_ways():
    found = evaluation()
    printed = results_json(
        measure_evaluation(found), measure_evaluation(found, np.arange(120) < 60)
    )
    assert json.loads(json.dumps(printed, allow_nan=False)) == printed
    assert printed["n"] == 120
    assert printed["without_twins"]["n"] == 60
    assert "without_twins" not in results_json(measure_evaluation(found))


def test_confusion_counts_labels_in_rows_and_predictions_in_columns():
    labels = {"gender": np.float32([0, 0, 0, 1, np.nan])}
    outputs = {"gender": np.float32([[0.1], [0.9], [0.8], [0.9], [0.9]])}
    found = measure_outputs(labels, outputs)
    assert found.confusion["gender"].tolist() == [[1, 2], [0, 1]]
    assert sum(one.n for one in found.reliability["gender"]) == 4
    assert found.roc["gender: female"][0] == (0, 0)
    assert found.roc["gender: female"][-1] == (1, 1)


def test_one_class_alone_has_no_curve_and_no_label_no_measures():
    labels = {"gender": np.float32([1, 1]), "race": np.float32([np.nan, np.nan])}
    outputs = {"gender": np.float32([[0.9], [0.8]]), "race": np.full((2, 5), 0.2, np.float32)}
    found = measure_outputs(labels, outputs)
    assert found.roc == {}
    assert set(found.table()) == {"n", "gender", "intervals"}
