"""Tables name every group, also those without an image, and agree with the counts."""

import json

import pytest

from facetag.settings import Settings
from facetag_trainer.exploration.exploration_tables import (
    age_rows,
    cross_tables,
    group_rows,
    to_json,
)
from facetag_trainer.exploration.shard_exploration import explore_shards
from tests.unit.trainer.chips import write_tar
from tests.unit.trainer.explored_shards import write_mixed_shards


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return explore_shards(write_mixed_shards(tmp_path_factory.mktemp("shards")), Settings())


def test_a_group_has_its_images_and_its_share_of_those_labelled(found):
    assert group_rows(found, "gender") == [("male", 2, 0.4), ("female", 3, 0.6)]
    assert group_rows(found, "race")[3] == ("indian", 0, 0)


def test_a_crossing_of_two_has_a_row_for_each_group_of_the_first(found):
    table = cross_tables(found)[0]
    assert table.title == "Gender by race"
    assert table.columns == ("white", "black", "asian", "indian", "other")
    assert table.rows == [("male", [1, 1, 0, 0, 0]), ("female", [1, 0, 2, 0, 0])]
    assert table.totals == [2, 1, 2, 0, 0]


def test_the_crossing_of_three_has_rows_of_gender_and_race_and_columns_of_ages(found):
    table = cross_tables(found)[-1]
    rows = dict(table.rows)
    assert len(rows) == 10
    assert rows["female, asian"] == [0, 0, 0, 2, 0, 0, 0, 0, 0]
    assert rows["male, white"] == [0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert sum(table.totals) == 4


def test_ages_are_named(found):
    assert dict(age_rows(found))["median"] == 30
    assert [name for name, _ in age_rows(found)][-1] == "maximum"


def test_programs_get_all_of_it_as_json(found):
    data = json.loads(json.dumps(to_json(found)))
    assert (data["read"], data["kept"]) == (13, 6)
    assert data["dropped"]["identical images whose labels disagree"] == 2
    assert {
        "name": "117_0_0_old.jpg",
        "kind": "labels missing or out of range",
        "reason": "age 117 is outside 0..116",
    } in data["left_out"]
    assert data["missing"] == {"age": 1, "gender": 1, "race": 0}
    assert data["age"]["n"] == 5
    assert data["age"]["maximum"] == 85.5
    assert data["age"]["by_year"][30] == 2
    assert data["counts"]["gender"] == {"male": 2, "female": 3}
    assert data["counts"]["gender_race_age"]["female"]["asian"]["30–39"] == 2
    assert data["look_alikes"] == {"groups": 1, "images": 2, "largest": 2}


def test_without_ages_their_statistics_are_null(tmp_path):
    shard = write_tar(tmp_path / "bad.tar", [("20_0_0_x.jpg", b"text")])
    found = explore_shards([shard], Settings())
    assert to_json(found)["age"] is None
    assert age_rows(found) == []
    assert group_rows(found, "gender") == [("male", 0, 0), ("female", 0, 0)]
