import numpy as np
import pytest

from facetag.errors import RequirementInvalid
from facetag.quantification.groupings import GROUPINGS
from facetag.quantification.intervals import Shares
from facetag.quantification.targets.requirements import Requirement, RequirementVerdict


@pytest.mark.parametrize(
    ("text", "grouping", "label"),
    [
        ("female>=0.4", "gender", "female"),
        ("age 60+ >= 10%", "age", "60+"),
        ("13-19 <= 0.5", "age", "13–19"),
        ("Female, 60+ >= .05", "gender by age", "female, 60+"),
        ("age 60+,race  other ≤ 5 %", "race by age", "other, 60+"),
    ],
)
def test_labels_bands_and_crossings_can_be_required(text, grouping, label):
    found = Requirement.parse(text)
    assert (found.grouping, found.label) == (grouping, label)


@pytest.mark.parametrize(
    "text", ["female", "female>=2", "women>=0.4", "female>=0.4.1", ">=0.1", "male, female>=0.1"]
)
def test_what_is_no_requirement_is_refused_with_the_way_to_write_one(text):
    with pytest.raises(RequirementInvalid, match=r"write GROUP|share|Groups are"):
        Requirement.parse(text)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("female>=0.3", RequirementVerdict.HOLDS),
        ("female>=0.7", RequirementVerdict.FAILS),
        ("female>=0.5", RequirementVerdict.OPEN),
        ("female<=0.7", RequirementVerdict.HOLDS),
        ("female<=0.3", RequirementVerdict.FAILS),
        ("female<=0.5", RequirementVerdict.OPEN),
    ],
)
def test_a_bound_outside_the_interval_is_sure(text, verdict):
    half = np.array([0.5, 0.5])
    errors = np.array([[0.05, -0.05], [-0.05, 0.05]])
    degrees = np.array([90.0, 90.0])
    shares = Shares(GROUPINGS[0], 1000, half, half, half[None], errors, degrees)
    assert Requirement.parse(text).judge(shares) is verdict
