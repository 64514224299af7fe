"""Ranges cover what they promise on data with a known spread."""

import numpy as np
import pytest

from facetag.vision.network.age_range import AgeRange
from facetag_trainer.calibration.age_intervals import FEWEST, fit_age_range, widen_to_coverage


def ages(count, seed):
    """Predictions and labels whose spread grows with the age, more upwards than downwards."""
    rng = np.random.default_rng(seed)
    predicted = rng.uniform(1, 80, count)
    error = rng.normal(0, 1, count) * (2 + predicted / 10)
    labels = predicted + np.where(error > 0, 1.5 * error, error)
    return predicted.astype(np.float32), labels.astype(np.float32)


def covered(found, predicted, labels):
    inside = []
    for age, label in zip(predicted.tolist(), labels.tolist(), strict=True):
        low, high = found.around(age)
        inside.append(low <= max(label, 0) <= high)
    return np.array(inside)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
def test_fresh_ages_are_covered_as_often_as_promised(coverage):
    found = fit_age_range(*ages(6000, 0), coverage=coverage)
    predicted, labels = ages(6000, 1)
    inside = covered(found, predicted, labels)
    assert inside.mean() == pytest.approx(coverage, abs=0.025)
    for start in (0, 20, 40, 60):
        band = (predicted >= start) & (predicted < start + 20)
        assert inside[band].mean() == pytest.approx(coverage, abs=0.07)


def test_ranges_grow_with_the_spread_and_need_not_be_even():
    found = fit_age_range(*ages(6000, 0))
    assert found.coverage == 0.8
    assert found.above[-1] > 2 * found.above[0]
    assert sum(found.above) > 1.2 * sum(found.below)


def test_unknown_ages_have_no_part():
    predicted, labels = ages(2000, 0)
    labels[::2] = np.nan
    known = fit_age_range(predicted[1::2], labels[1::2])
    assert fit_age_range(predicted, labels) == known


def test_bands_with_too_few_ages_have_no_knot():
    predicted = np.float32([15] * FEWEST + [55] * (FEWEST - 1))
    found = fit_age_range(predicted, predicted + 1)
    assert found.knots == [15]


@pytest.mark.parametrize("labels", [[30, 34], [30, np.nan], [np.nan, np.nan], []])
def test_a_handful_of_ages_still_gives_a_range(labels):
    labels = np.float32(labels)
    found = fit_age_range(np.full(len(labels), 32, np.float32), labels)
    low, high = found.around(32.0)
    assert np.isfinite([low, high]).all()
    assert low < 32 < high


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("start", [2.0, 30.0])
def test_a_range_is_widened_until_whole_years_hold_the_stated_share(coverage, start):
    shape = AgeRange(coverage, [20, 60], [start, start], [start, start])
    predicted, labels = ages(6000, 2)
    found = widen_to_coverage(shape, predicted, labels.round())
    reached = found.covers(predicted, labels.round()).mean()
    assert reached == pytest.approx(coverage, abs=0.01)


def test_a_share_that_was_fitted_on_some_ages_holds_on_others():
    shape = fit_age_range(*ages(600, 0))
    predicted, labels = ages(20000, 3)
    found = widen_to_coverage(shape, *ages(6000, 2))
    assert found.covers(predicted, labels).mean() == pytest.approx(0.8, abs=0.015)


def test_the_middle_of_a_step_is_taken():
    predicted, labels = np.full(10, 40, np.float32), np.float32([40] * 8 + [70] * 2)
    found = widen_to_coverage(AgeRange(0.8, [40], [8], [8]), predicted, labels)
    # Any range from 0 to 29 years above holds eight of ten; neither end is taken.
    assert 3 < found.above[0] < 25


def test_without_a_known_age_a_range_stays_as_it_is():
    shape = AgeRange(0.8, [20], [3], [4])
    assert widen_to_coverage(shape, np.float32([20]), np.float32([np.nan])) == shape
