"""The table's rows: one for each way of fitting, weighed against the plain one of its own."""

import numpy as np

from facetag_trainer.imbalance.comparison_table import HEAD_ALONE, ImbalanceComparison, make_rows
from facetag_trainer.imbalance.imbalance_plan import ImbalancePlan

TRUTH = np.arange(40) % 5
RIGHT = np.eye(5, dtype=np.float32)[TRUTH]
WRONG = np.eye(5, dtype=np.float32)[np.where(TRUTH == 4, 0, TRUTH)]


def rows():
    fits = {
        (HEAD_ALONE, "plain"): [WRONG, WRONG],
        (HEAD_ALONE, "smote"): [RIGHT, RIGHT],
        ("cnn, 96 pixels", "weighted"): [RIGHT],
        ("tiny, 75 pixels", "plain"): [RIGHT],
        ("tiny, 75 pixels", "weighted"): [WRONG],
    }
    return make_rows("race", TRUTH, fits)


def test_gains_are_over_the_plain_row_of_what_was_fitted():
    plain, smote, cnn, tiny, tiny_weighted = rows()
    assert plain.gains is tiny.gains is cnn.gains is None
    assert smote.gains["recall_other"].value == 1
    assert smote.gains["recall_black"].value == 0
    assert tiny_weighted.gains["recall_other"].value == -1


def test_fits_are_counted_and_rows_are_told_apart_by_name():
    found = rows()
    assert [row.fits for row in found] == [2, 2, 1, 1, 1]
    assert [row.name for row in found][:3] == ["plain", "smote", "cnn, 96 pixels: weighted"]


def test_results_state_plan_features_images_and_rows():
    images = {"training": [5, 4, 3, 2, 1], "validation": [1] * 5, "judged": [8] * 5}
    stated = ImbalanceComparison(
        ImbalancePlan(), {"precision": "float32"}, rows(), images
    ).to_json()
    assert stated["plan"]["head"] == "race"
    assert stated["features"] == {"precision": "float32"}
    assert stated["images"]["training"] == {
        "white": 5,
        "black": 4,
        "asian": 3,
        "indian": 2,
        "other": 1,
    }
    plain, smote, *_ = stated["rows"]
    assert plain["gains"] is None
    assert smote["figures"]["macro_f1"]["value"] == 1
    assert smote["gains"]["recall_other"]["interval"] == [1.0, 1.0]
