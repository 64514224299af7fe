"""What a comparison leaves in its folder: figures and a picture of recalls."""

import json

import numpy as np
from matplotlib.collections import PathCollection

from facetag_trainer.imbalance.comparison_files import draw_recalls, write_comparison
from facetag_trainer.imbalance.comparison_table import ImbalanceComparison
from facetag_trainer.imbalance.imbalance_plan import ImbalancePlan
from tests.unit.trainer.imbalance.test_comparison_table import rows

IMAGES = {"training": [9, 4, 12, 2, 1], "validation": [1] * 5, "judged": [8] * 5}


def drawn():
    figures = {row.name: row.figures for row in rows()[:2]}
    (axes,) = draw_recalls("race", figures, IMAGES["training"]).axes
    return axes


def test_a_picture_has_the_labels_by_their_training_images_the_most_on_top():
    axes = drawn()
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == ["asian (12)", "white (9)", "black (4)", "indian (2)", "other (1)"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_a_picture_has_a_colour_a_method_and_a_point_a_recall():
    marks = [one for one in drawn().collections if isinstance(one, PathCollection)]
    values = {one.get_label(): one.get_offsets()[:, 0].tolist() for one in marks}
    assert values == {"plain": [1, 1, 1, 1, 0], "smote": [1, 1, 1, 1, 1]}
    assert not np.allclose(marks[0].get_facecolor(), marks[1].get_facecolor())


def test_figures_and_picture_are_in_the_folder(tmp_path):
    path = write_comparison(
        tmp_path / "run", ImbalanceComparison(ImbalancePlan(), {}, rows(), IMAGES)
    )
    assert len(json.loads(path.read_text())["rows"]) == 5
    written = {one.name for one in (tmp_path / "run").iterdir()}
    assert written == {"imbalance.json", "recall.svg", "recall.png"}
