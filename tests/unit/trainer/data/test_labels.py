"""Labels as arrays, with nothing made up where one is missing."""

import numpy as np

from facetag_trainer.data.labels import group_codes, group_names, label_arrays
from facetag_trainer.data.shards import Sample


def test_missing_labels_are_nan():
    arrays = label_arrays(
        [Sample("a", b"", {"age": 3}), Sample("b", b"", {"race": 4})], ("age", "race")
    )
    assert arrays["age"][0] == 3
    assert np.isnan(arrays["age"][1])
    assert arrays["race"][1] == 4


def test_groups_are_labels_and_bands_of_ages():
    assert group_names("gender") == ("male", "female")
    assert group_names("age")[::8] == ("0–9", "80+")


def test_an_image_is_in_the_group_of_its_label_and_in_none_without():
    ages = group_codes("age", np.float32([0, 9.5, 10, 79, 80, 116, np.nan]))
    assert ages.tolist() == [0, 0, 1, 7, 8, 8, -1]
    assert group_codes("race", np.float32([4, np.nan, 0])).tolist() == [4, -1, 0]
