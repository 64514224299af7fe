"""What is counted is what training would see, and what is left out is named."""

import subprocess
import sys

import numpy as np
import pytest

from facetag.errors import ShardUnreadable
from facetag.settings import Settings
from facetag_trainer.exploration.shard_exploration import (
    count_groups,
    count_look_alikes,
    count_years,
    describe_ages,
    explore_shards,
)
from tests.unit.trainer.chips import write_tar
from tests.unit.trainer.explored_shards import write_mixed_shards

NAN = np.nan


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def found(tmp_path_factory, told):
    shards = write_mixed_shards(tmp_path_factory.mktemp("shards"))
    return explore_shards(shards, Settings(), on_progress=lambda *said: told.append(said))


def test_each_reason_is_counted_on_its_own_and_names_its_images(found):
    assert (found.read, found.kept) == (13, 6)
    assert found.dropped == {
        "malformed name": 1,
        "labels missing or out of range": 2,
        "undecodable image": 1,
        "identical image": 1,
        "identical images whose labels disagree": 2,
    }
    assert {bad.name for bad in found.left_out} == {
        "61_1_2017.jpg",
        "117_0_0_old.jpg",
        "nothing.jpg",
        "20_0_0_broken.jpg",
        "20_0_0_copy.jpg",
        "40_0_3_e.jpg",
        "41_0_3_f.jpg",
    }


def test_an_image_that_lacks_a_label_is_kept_and_counted_for_the_others(found):
    assert found.missing == {"age": 1, "gender": 1, "race": 0}
    assert found.crossings[("gender",)].tolist() == [2, 3]
    assert found.crossings[("race",)].tolist() == [2, 1, 2, 0, 1]
    assert found.crossings[("race", "age")][4].tolist() == [0] * 8 + [1]


def test_crossings_have_an_axis_a_head_and_count_what_is_wholly_labelled(found):
    assert {by: counts.shape for by, counts in found.crossings.items()} == {
        ("gender",): (2,),
        ("race",): (5,),
        ("age",): (9,),
        ("gender", "race"): (2, 5),
        ("gender", "age"): (2, 9),
        ("race", "age"): (5, 9),
        ("gender", "race", "age"): (2, 5, 9),
    }
    assert found.crossings[("gender", "race")].tolist() == [[1, 1, 0, 0, 0], [1, 0, 2, 0, 0]]
    assert found.crossings[("gender", "race", "age")].sum() == 4
    assert found.crossings[("gender", "race", "age")][1, 2, 3] == 2


def test_look_alikes_are_kept_and_counted(found):
    alike = found.look_alikes
    assert (alike.groups, alike.images, alike.largest) == (1, 2, 2)


def test_progress_tells_of_every_phase_to_its_end(found, told):
    last = {phase: (done, total) for phase, done, total in told}
    assert last == {"Reading": (13, None), "Decoding": (7, 7), "Comparing": (6, 6)}


def test_ages_are_described_over_those_that_are_known():
    ages = describe_ages(np.float32([10, NAN, 20, 40, 50]))
    assert (ages.n, ages.mean, ages.minimum, ages.maximum) == (4, 30, 10, 50)
    assert ages.sd == pytest.approx(np.std([10, 20, 40, 50], ddof=1))
    assert ages.quartiles == (17.5, 30, 42.5)


def test_one_age_has_no_deviation_and_none_has_no_statistics():
    assert describe_ages(np.float32([33])).sd is None
    assert describe_ages(np.float32([NAN])) is None
    assert describe_ages(np.float32([])) is None


def test_years_are_whole_and_reach_to_the_oldest():
    years = count_years(np.float32([0, 25.9, 25, 116, NAN]))
    assert years.shape == (117,)
    assert {int(year): int(years[year]) for year in np.flatnonzero(years)} == {0: 1, 25: 2, 116: 1}


def test_groups_of_nothing_are_zeros():
    labels = {"gender": np.float32([]), "age": np.float32([])}
    assert count_groups(labels, ("gender", "age")).tolist() == [[0] * 9] * 2
    assert count_look_alikes(np.zeros((0, 32), np.uint8)).images == 0


def test_where_nothing_is_usable_the_faults_are_the_result(tmp_path):
    shard = write_tar(tmp_path / "bad.tar", [("20_0_0_x.jpg", b"text"), ("x.jpg", b"text")])
    found = explore_shards([shard], Settings())
    assert (found.read, found.kept, found.ages) == (2, 0, None)
    assert found.dropped == {"malformed name": 1, "undecodable image": 1}


def test_what_is_no_shard_is_refused(tmp_path):
    with pytest.raises(ShardUnreadable, match=r"nowhere\.tar"):
        explore_shards([tmp_path / "nowhere.tar"], Settings())


def test_exploring_needs_no_tensorflow():
    module = "facetag_trainer.exploration.exploration_report"
    program = f"import sys, {module}; print('tensorflow' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "False\n"
