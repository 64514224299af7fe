"""What a comparison's stored fits are told apart by."""

from dataclasses import replace

import pytest

from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.imbalance.imbalance_plan import ImbalancePlan

PLAN, SPEC = ImbalancePlan(), NetworkSpec()


def test_further_seeds_leave_the_fits_that_there_are():
    more = replace(PLAN, seeds=9, seed=4)
    assert more.fits_key(SPEC) == PLAN.fits_key(SPEC)


@pytest.mark.parametrize(
    "change", [{"head": "gender"}, {"epochs": 3}, {"batch_size": 8}, {"learning_rate": 0.1}]
)
def test_another_way_of_fitting_has_fits_of_its_own(change):
    assert replace(PLAN, **change).fits_key(SPEC) != PLAN.fits_key(SPEC)


@pytest.mark.parametrize("change", [{"hidden_units": 8}, {"dropout": 0.1}])
def test_another_head_has_fits_of_its_own(change):
    assert PLAN.fits_key(replace(SPEC, **change)) != PLAN.fits_key(SPEC)


def test_heads_learn_from_labels_as_they_are():
    assert not PLAN.fit_plan(3).soft_targets
    assert PLAN.fit_plan(3).seed == 3
