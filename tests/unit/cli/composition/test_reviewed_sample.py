import pytest

from facetag.errors import FacetagError
from facetag_cli.composition.reviewed_sample import describe_sample


def test_a_sample_that_is_reviewed_in_part_says_so():
    assert describe_sample({"photos": 20, "reviewed": 20}).endswith("sample of 20 photos.")
    assert "once all of them are" in describe_sample({"photos": 20, "reviewed": 7})
    with pytest.raises(FacetagError, match="the page"):
        describe_sample({"photos": 20, "reviewed": 0})
