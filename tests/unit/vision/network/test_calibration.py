"""Temperatures change how sure a network says it is, and never which label is likeliest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from facetag.vision.network.calibration import (
    AgeLine,
    Calibration,
    at_temperature,
    mean_reading,
    top_probability,
)

LOGITS = arrays.arrays(np.float64, (4, 5), elements=st.floats(-8, 8))


def softmax(logits):
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


@given(LOGITS, st.floats(0.3, 4))
def test_probabilities_are_those_of_logits_divided_by_the_temperature(logits, temperature):
    race = at_temperature("race", softmax(logits).astype(np.float32), temperature)
    assert np.allclose(race, softmax(logits / temperature), atol=2e-3)
    gender = at_temperature("gender", sigmoid(logits[:, :1]).astype(np.float32), temperature)
    assert np.allclose(gender, sigmoid(logits[:, :1] / temperature), atol=2e-3)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 5.0])
def test_certain_outputs_stay_finite_and_keep_their_label(temperature):
    race = at_temperature("race", np.float32([[0, 0, 1, 0, 0]]), temperature)
    assert np.isfinite(race).all()
    assert race.argmax() == 2
    gender = at_temperature("gender", np.float32([[0], [1]]), temperature)
    assert np.isfinite(gender).all()
    assert gender[0] < 0.5 < gender[1]


def test_ages_and_heads_without_a_temperature_stay_as_they_are():
    outputs = {
        "age": np.float32([[31.4]]),
        "gender": np.float32([[0.9]]),
        "race": np.float32([[0.6, 0.1, 0.1, 0.1, 0.1]]),
    }
    found = Calibration({"age": 3.0, "gender": 2.0}).apply(outputs)
    assert found["age"] == outputs["age"]
    assert found["gender"][0, 0] == pytest.approx(0.75)
    assert np.array_equal(found["race"], outputs["race"])


def test_ages_follow_the_line_and_stay_in_years():
    line = AgeLine(offset=-2.0, slope=1.1)
    found = Calibration(age_line=line).apply({"age": np.float32([[30], [1]])})
    assert found["age"].dtype == np.float32
    assert found["age"][:, 0] == pytest.approx([31, 0])


@pytest.mark.parametrize("line", [(float("nan"), 1), (0, 0), (0, -1), (1, float("inf"))])
def test_what_is_no_line_is_refused(line):
    fields = {"age_line": dict(zip(("offset", "slope"), line, strict=True))}
    with pytest.raises(ValueError, match="age line"):
        Calibration.from_json(fields)


def test_a_label_is_uncertain_under_its_own_heads_threshold():
    calibration = Calibration(uncertain_below={"gender": 0.8, "race": 0.6})
    assert calibration.uncertain_heads({"gender": 0.79, "race": 0.61}) == ["gender"]
    assert calibration.uncertain_heads({"gender": 0.8, "race": 0.59}) == ["race"]
    assert calibration.uncertain_heads({"gender": 0.9}) == []


def test_without_thresholds_nothing_is_said_of_uncertainty():
    assert Calibration().uncertain_heads({"gender": 0.5}) is None


def test_the_top_probability_is_the_likeliest_labels():
    assert np.allclose(top_probability("gender", np.float32([[0.2], [0.7]])), [0.8, 0.7])
    assert np.allclose(top_probability("race", np.float32([[0.1, 0.5, 0.2, 0.1, 0.1]])), [0.5])


def test_a_manifest_without_calibration_changes_nothing():
    assert Calibration.from_json(None) == Calibration()


@pytest.mark.parametrize(
    "fields",
    [
        {"temperatures": {"race": 0}},
        {"temperatures": {"race": -1}},
        {"temperatures": {"race": float("nan")}},
        {"uncertain_below": {"race": 1.5}},
        {"temperatures": {"race": "warm"}},
    ],
)
def test_odd_calibrations_are_refused(fields):
    with pytest.raises(ValueError, match=r"temperature|threshold|warm"):
        Calibration.from_json(fields)


@given(LOGITS, LOGITS)
def test_the_mean_of_two_readings_is_that_of_their_logits(one, other):
    mean = mean_reading("race", *(softmax(each).astype(np.float32) for each in (one, other)))
    assert np.allclose(mean, softmax((one + other) / 2), atol=2e-3)
    columns = [sigmoid(each[:, :1]).astype(np.float32) for each in (one, other)]
    mean = mean_reading("gender", *columns)
    assert np.allclose(mean, sigmoid((one + other)[:, :1] / 2), atol=2e-3)


def test_two_ages_have_their_plain_mean_and_sure_readings_stay_finite():
    ages = mean_reading("age", np.float32([[20]]), np.float32([[50]]))
    assert ages.tolist() == [[35]]
    assert mean_reading("gender", np.float32([[1]]), np.float32([[0]])) == pytest.approx(0.5)


def test_a_head_is_uncertain_for_faces_that_are_read_as_too_young_for_it():
    calibration = Calibration(uncertain_below={"gender": 0.8}, uncertain_under_age={"gender": 10})
    top = {"gender": 0.99, "race": 0.99}
    assert calibration.uncertain_heads(top, 9.9) == ["gender"]
    assert calibration.uncertain_heads(top, 10.0) == []
    assert calibration.uncertain_heads(top) == []
    stated = {"uncertain_below": {"gender": 0.8}, "uncertain_under_age": {"gender": 10}}
    assert Calibration.from_json(stated) == calibration
