"""What teachers say is written once, for the images of shards, and gone on with after a kill."""

import numpy as np
import pytest

from facetag.errors import FacetagError
from facetag.settings import Settings
from facetag_trainer.data.cache_preparation import PreparePlan, prepare_cache
from facetag_trainer.teachers.descriptors import UNITS
from facetag_trainer.teachers.teacher_answers import teach
from facetag_trainer.teachers.teacher_knowledge import read_knowledge
from tests.unit.trainer.chips import chip_members, write_tar


class Killed(Exception):
    pass


def brightness(photo):
    """A descriptor that knows little: the means over a grid of the image."""
    small = photo[: 8 * (len(photo) // 8), : 16 * (photo.shape[1] // 16)].mean(axis=2)
    grid = small.reshape(8, len(small) // 8, 16, small.shape[1] // 16).mean(axis=(1, 3))
    return (grid.ravel() / 255).astype(np.float32)


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    return write_tar(tmp_path_factory.mktemp("shards") / "chips.tar", chip_members(60))


def test_the_file_is_about_the_images_of_the_crop_cache_and_made_once(shard, tmp_path):
    asked = []

    def describe(photo):
        asked.append(1)
        return brightness(photo)

    taught = teach([shard], tmp_path / "taught", Settings(), describe)
    assert set(taught.accuracy) == {"gender", "race"}
    cache = prepare_cache([shard], tmp_path / "cache", PreparePlan(Settings(), size=75))
    knowledge = read_knowledge(taught.path, cache)
    assert knowledge.descriptors.shape == (len(asked), UNITS)
    assert set(knowledge.answers) == {"age", "gender", "race"}
    again = teach([shard], tmp_path / "taught", Settings(), describe)
    assert again == taught
    assert len(asked) == len(cache.hashes)


def test_a_killed_run_goes_on_where_it_stopped(shard, tmp_path, monkeypatch):
    monkeypatch.setattr("facetag_trainer.teachers.teacher_answers.PARTIAL_EVERY", 10)
    asked = []

    def die(photo):
        if len(asked) == 35:
            raise Killed
        asked.append(1)
        return brightness(photo)

    with pytest.raises(Killed):
        teach([shard], tmp_path, Settings(), die)
    more = []
    taught = teach([shard], tmp_path, Settings(), lambda photo: more.append(1) or brightness(photo))
    plain = teach([shard], tmp_path / "plain", Settings(), brightness)
    assert taught.path.name == plain.path.name
    with np.load(taught.path) as one, np.load(plain.path) as other:
        assert len(more) == len(one["hashes"]) - 30
        assert all(np.array_equal(one[name], other[name]) for name in other.files)
    assert [path.name for path in tmp_path.glob("*.npz")] == [taught.path.name]


def test_a_set_without_two_labels_of_gender_or_race_is_refused(tmp_path):
    members = [(f"30_0_1_{name[-8:]}", data) for name, data in chip_members(12)]
    with pytest.raises(FacetagError, match="images of two genders or of two races"):
        teach([write_tar(tmp_path / "one.tar", members)], tmp_path, Settings(), brightness)
