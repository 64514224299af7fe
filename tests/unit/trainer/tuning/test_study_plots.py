"""A study's pictures: what is drawn, not how it looks."""

import pytest

from facetag_trainer.tuning.study_plots import draw_history, draw_importances, draw_results
from facetag_trainer.tuning.study_results import Results, Tried


def tried(number, state, value, best):
    return Tried(number, state, value, best, 3, {}, {}, None)


TRIALS = (
    tried(0, "complete", 2.0, 2.0),
    tried(1, "pruned", 2.5, 2.0),
    tried(2, "failed", None, 2.0),
    tried(3, "complete", 1.5, 1.5),
)


def results(trials=TRIALS, importances=None):
    return Results("s", {}, (), trials, importances, 1.0)


def test_pruned_trials_are_marked_apart_and_failed_ones_left_out():
    (axes,) = draw_history(TRIALS).axes
    marks = {one.get_label(): one.get_offsets().tolist() for one in axes.collections}
    assert marks == {"complete": [[0, 2.0], [3, 1.5]], "pruned": [[1, 2.5]]}


def test_the_best_so_far_is_a_line():
    (axes,) = draw_history(TRIALS).axes
    (line,) = axes.lines
    assert line.get_xydata().tolist() == [[0, 2.0], [1, 2.0], [2, 2.0], [3, 1.5]]


def test_a_bar_a_parameter_is_drawn_the_largest_first():
    (axes,) = draw_importances({"learning_rate": 0.7, "mixup": 0.3}).axes
    assert [bar.get_width() for bar in axes.patches] == [0.7, 0.3]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["learning rate", "mixup"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


@pytest.mark.parametrize(
    ("drawn", "names"),
    [
        (results(), {"history"}),
        (results(importances={"mixup": 1.0}), {"history", "importance"}),
        (results(trials=()), set()),
    ],
)
def test_what_is_not_known_yet_is_not_drawn(drawn, names):
    assert set(draw_results(drawn)) == names
