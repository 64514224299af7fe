import numpy as np
import pytest

from facetag.quantification.age_likelihoods import BANDS, AgeLikelihoods
from facetag.quantification.expectation_maximization import estimate_shares
from facetag.quantification.groupings import BAND_OF_FINE, FINE_AGE, FINE_STARTS, codes_of_ages


@pytest.fixture(scope="module")
def known(held_out):
    return AgeLikelihoods.fit(held_out.answers.age, held_out.codes[FINE_AGE])


def draw_years(low, high, count=400):
    """Draw true ages, and stated ones by the labeller of all these tests."""
    rng = np.random.default_rng(8)
    years = rng.uniform(low, high, count)
    return years, np.round(np.maximum(years + rng.normal(0, 5, count), 0), 1)


def test_fine_ages_within_a_band_are_1_in_sum_before_and_after(known):
    _, ages = draw_years(9, 27)
    for one in (known, known.adapt(ages)):
        assert np.bincount(BAND_OF_FINE, one.within, BANDS) == pytest.approx(np.ones(BANDS))


@pytest.mark.parametrize(("low", "high"), [(9, 27), (20, 26), (30, 65)])
def test_shares_come_nearer_once_the_spread_within_bands_is_estimated(known, low, high):
    years, ages = draw_years(low, high)
    truth = np.bincount(codes_of_ages(years)["age"], minlength=BANDS) / len(years)
    before, after = (estimate_shares(one.of(ages)) for one in (known, known.adapt(ages)))
    assert np.abs(after - truth).mean() < 0.7 * np.abs(before - truth).mean()


def test_weights_say_how_often_a_face_counts(known):
    _, ages = draw_years(20, 40, 100)
    twice = known.adapt(np.concatenate([ages, ages])).within
    assert known.adapt(ages, np.full(100, 2.0)).within == pytest.approx(twice, abs=1e-6)


def test_a_fine_age_that_no_held_out_face_has_gets_no_share(held_out):
    fine = held_out.codes[FINE_AGE]
    seen = fine != FINE_STARTS.index(44)
    found = AgeLikelihoods.fit(held_out.answers.age[seen], fine[seen])
    _, ages = draw_years(40, 50)
    assert found.adapt(ages).within[FINE_STARTS.index(44)] == 0
    assert np.isfinite(found.adapt(ages).of(ages)).all()


def test_ages_of_a_collection_are_smoothed_within_bands(known):
    _, drawn = draw_years(48, 52, 100)
    oftener = known.adapt(drawn).shares / known.held_out_shares
    middle, older = FINE_STARTS.index(48), FINE_STARTS.index(56)
    assert oftener[older] > 0.2 * oftener[middle]
