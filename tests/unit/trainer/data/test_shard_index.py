import hashlib

import numpy as np
import pytest

from facetag.errors import ImageUnreadable, ShardUnreadable
from facetag.settings import Settings
from facetag_trainer.data.shard_index import ShardIndex, index_shards, shards_of_images
from facetag_trainer.data.shards import BadSample, shard_digest
from tests.unit.trainer.chips import encode, waves, write_tar
from tests.unit.trainer.opened_files import count_opened


def image(seed):
    return encode(waves(np.random.default_rng(seed), 32))


@pytest.fixture
def shard(tmp_path):
    members = [
        ("20_0_0_a.jpg", image(1)),
        ("20_0_0_b.jpg", image(1)),
        ("30_1_0_c.jpg", image(2)),
        ("40_1_0_d.jpg", b"no image"),
        ("nameless.jpg", image(3)),
    ]
    return write_tar(tmp_path / "one.tar", members)


def test_a_shard_is_opened_once_for_its_images_and_its_digest(shard):
    index, digest = ShardIndex(shard, Settings()), hashlib.sha256(shard.read_bytes()).hexdigest()
    with count_opened() as opened:
        for _ in range(3):
            assert len(index.items) == 5
            assert len(index.samples) == 3
            assert index.sha256 == digest
    assert opened["one.tar"] == 1


def test_a_digest_alone_needs_no_images(shard):
    index = ShardIndex(shard, Settings())
    with count_opened() as opened:
        assert len(index.sha256) == 64
        assert len(index.sha256) == 64
    assert opened["one.tar"] == 1
    assert "_read" not in vars(index)


def test_an_index_names_what_the_shard_holds(shard):
    index = ShardIndex(shard, Settings())
    assert (index.name, index.sha256) == ("one.tar", shard_digest(shard))
    assert isinstance(index.items[-1], BadSample)
    assert [sample.name for sample in index.samples.values()] == [
        "20_0_0_a.jpg",
        "30_1_0_c.jpg",
        "40_1_0_d.jpg",
    ]


def test_an_image_is_decoded_once_and_an_unreadable_one_is_refused_each_time(shard):
    index = ShardIndex(shard, Settings())
    first, _, bad = index.samples.values()
    assert index.hash_image(first) is index.hash_image(index.items[1])
    for _ in range(2):
        with pytest.raises(ImageUnreadable):
            index.hash_image(bad)


def test_an_image_belongs_to_the_first_shard_that_holds_it(shard, tmp_path):
    other = write_tar(tmp_path / "two.tar", [("9_0_0_x.jpg", image(2)), ("9_0_0_y.jpg", image(4))])
    indexes = index_shards([shard, other], Settings())
    homes = shards_of_images(indexes)
    second, new = indexes[1].samples
    assert homes[second] is indexes[0]
    assert homes[new] is indexes[1]


def test_a_missing_shard_is_refused_when_it_is_read(tmp_path):
    index = ShardIndex(tmp_path / "none.tar", Settings())
    with pytest.raises(ShardUnreadable, match=r"no shard at .*none\.tar"):
        _ = index.sha256
