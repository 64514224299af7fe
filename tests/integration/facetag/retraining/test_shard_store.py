import hashlib

import pytest

from facetag.errors import ShardUnreadable
from facetag.retraining.shard_store import fetch_shard, shard_key, store_shard

pytestmark = pytest.mark.integration
DATA = b"the bytes of a tar" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "new.tar"
    path.write_bytes(DATA)
    return path


def test_a_shard_comes_back_as_it_was_stored_and_once(storage, shard, tmp_path):
    store_shard(storage, "local", shard, SHA256)
    fetched = fetch_shard(storage, "local", SHA256, tmp_path / "shards")
    assert fetched.read_bytes() == DATA
    storage.operator.delete([shard_key("local", SHA256)])
    assert fetch_shard(storage, "local", SHA256, tmp_path / "shards") == fetched


def test_a_copy_with_a_changed_byte_is_refused_until_the_shard_is_given_again(
    storage, shard, tmp_path
):
    storage.operator.put(shard_key("local", SHA256), DATA[:-1] + b"!", "application/x-tar")
    with pytest.raises(ShardUnreadable, match="damaged"):
        fetch_shard(storage, "local", SHA256, tmp_path / "shards")
    assert list((tmp_path / "shards").iterdir()) == []
    store_shard(storage, "local", shard, SHA256)
    assert fetch_shard(storage, "local", SHA256, tmp_path / "shards").read_bytes() == DATA


def test_a_copy_that_is_missing_is_told_with_what_helps(storage, tmp_path):
    with pytest.raises(ShardUnreadable, match="--earlier"):
        fetch_shard(storage, "local", SHA256, tmp_path / "shards")
