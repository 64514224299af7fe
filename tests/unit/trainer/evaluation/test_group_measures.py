"""Groups are made by labels, each measured on its own; the worst is named where it is large."""

import numpy as np
import pytest

from facetag_trainer.evaluation.group_measures import (
    EVERYBODY,
    find_groups,
    measure_groups,
    worst_groups,
)

NAN = np.nan


def faces(ages, genders, races):
    labels = {"age": ages, "gender": genders, "race": races}
    return {name: np.float32(values) for name, values in labels.items()}


def perfect(labels):
    """Outputs that are right wherever a label is known."""
    known = {name: np.nan_to_num(values) for name, values in labels.items()}
    return {
        "age": known["age"][:, None],
        "gender": (0.02 + 0.96 * known["gender"])[:, None],
        "race": np.float32(0.92 * np.eye(5)[known["race"].astype(int)] + 0.016),
    }


def test_everybody_comes_first_then_every_group_and_crossing_that_has_an_image():
    labels = faces([25, 29, 81], [1, 1, 0], [2, 2, 4])
    found = {(by, name): members.tolist() for by, name, members in find_groups(labels)}
    assert next(iter(found)) == ((), EVERYBODY)
    assert found[(), EVERYBODY] == [0, 1, 2]
    assert found[("gender",), "female"] == [0, 1]
    assert found[("age",), "80+"] == [2]
    assert found[("gender", "race"), "male, other"] == [2]
    assert found[("gender", "race", "age"), "female, asian, 20–29"] == [0, 1]
    assert len(found) == 1 + 7 * 2


def test_an_image_without_a_label_is_in_no_group_by_it_but_in_the_others():
    labels = faces([25, NAN], [1, 1], [NAN, 0])
    found = {name: members.tolist() for _, name, members in find_groups(labels)}
    assert found["female"] == [0, 1]
    assert found["white"] == [1]
    assert found["20–29"] == [0]
    assert "female, white, 20–29" not in found


def test_a_group_is_measured_on_its_own_images_and_known_labels():
    labels = faces([25] * 20 + [45] * 20, [1] * 20 + [0] * 20, [0] * 30 + [NAN] * 10)
    outputs = perfect(labels)
    outputs["age"][:20] += 4
    groups = {group.name: group for group in measure_groups(labels, outputs)}
    assert groups["female"].measures["age"]["mae"].value == pytest.approx(4)
    assert groups["male"].measures["age"]["mae"].value == 0
    assert groups[EVERYBODY].measures["age"]["mae"].value == pytest.approx(2)
    low, high = groups[EVERYBODY].measures["age"]["mae"].interval
    assert 0 < low < 2 < high < 4
    assert groups["male"].counts == {"age": 20, "gender": 20, "race": 10}


def test_a_handful_of_images_has_no_interval_and_one_class_no_auc():
    labels = faces([25] * 9, [1] * 9, [0] * 9)
    everybody = measure_groups(labels, perfect(labels))[0]
    assert everybody.measures["age"]["rmse"].interval is None
    assert everybody.measures["gender"]["auc"].value is None
    assert everybody.measures["gender"]["accuracy"].value == 1


def test_figures_are_the_same_every_time():
    labels = faces(np.arange(30) + 10, np.arange(30) % 2, np.arange(30) % 5)
    outputs = perfect(labels)
    outputs["age"] += np.random.default_rng(0).normal(0, 3, (30, 1)).astype(np.float32)
    assert measure_groups(labels, outputs) == measure_groups(labels, outputs)
    assert measure_groups(labels, outputs) != measure_groups(labels, outputs, seed=2)


def test_the_worst_group_is_named_a_head_and_small_ones_are_not():
    labels = faces([25] * 40 + [75] * 8, np.arange(48) % 2, [0] * 20 + [4] * 20 + [1] * 8)
    outputs = perfect(labels)
    outputs["age"][labels["age"] == 75] -= 10
    outputs["age"][(labels["gender"] == 1) & (labels["race"] == 4)] -= 6
    outputs["race"][21:40:2] = outputs["race"][0]
    groups = measure_groups(labels, outputs)
    worst = worst_groups(groups, smallest=10)
    for head, value in (("age", 6), ("race", 0)):
        assert worst[head]["group"] == "female, other"
        assert worst[head]["n"] == 10
        assert worst[head]["value"] == pytest.approx(value)
    assert worst_groups(groups, smallest=8)["age"]["group"] == "black"
    assert worst_groups(groups, smallest=49) == {}
