"""A path is itself; an s3:// URL becomes a file of its own name, whole or not at all."""

from contextlib import contextmanager
from pathlib import Path

import pytest

from facetag.errors import ObjectMissing, ShardUnreadable, StorageUnavailable
from facetag.storage.client import Download
from facetag_trainer.data.shard_sources import StoredShard, download_shard, parse_source

SHARD = StoredShard("sets", "faces/part-1.tar")


class Shelf:
    """Storage of one bucket in memory; counts the chunks that were read."""

    def __init__(self, chunks=(b"one", b"two"), etag='"1"'):
        self.chunks, self.etag, self.read = chunks, etag, 0

    @contextmanager
    def download(self, bucket, key):
        if (bucket, key) != (SHARD.bucket, SHARD.key):
            raise ObjectMissing(f"There is no object s3://{bucket}/{key}.")
        yield Download(self.etag, sum(map(len, self.chunks)), self._chunks())

    def _chunks(self):
        for chunk in self.chunks:
            self.read += 1
            yield chunk


class FailingShelf(Shelf):
    """Storage that goes away in the middle of an object."""

    def _chunks(self):
        yield b"one"
        raise StorageUnavailable("gone")


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("text", ["part.tar", "/a/b.tar", "s3:/bucket/key.tar", "s3.tar"])
def test_a_path_is_itself(text):
    assert parse_source(text) == Path(text)


@pytest.mark.parametrize(
    ("text", "bucket", "key", "name"),
    [
        ("s3://sets/part-1.tar", "sets", "part-1.tar", "part-1.tar"),
        ("S3://my.sets-2/a/b c/é.tar", "my.sets-2", "a/b c/é.tar", "é.tar"),
        ("s3://sets//odd.tar", "sets", "/odd.tar", "odd.tar"),
    ],
)
def test_a_url_names_bucket_and_key(text, bucket, key, name):
    source = parse_source(text)
    assert (source.bucket, source.key, source.name) == (bucket, key, name)
    assert str(source) == f"s3://{bucket}/{key}"


@pytest.mark.parametrize(
    "text", ["s3://", "s3://sets", "s3://sets/", "s3://sets/a/", "s3:///key", "s3://a b/key.tar"]
)
def test_a_url_that_names_no_object_is_refused(text):
    with pytest.raises(ValueError, match="names no object"):
        parse_source(text)


@pytest.mark.parametrize("name", [".", ".."])
def test_a_key_cannot_lead_out_of_the_folder(name):
    with pytest.raises(ValueError, match="names no object"):
        parse_source(f"s3://sets/a/{name}")


def test_a_shard_is_copied_under_its_own_name_with_progress(tmp_path):
    told = []
    path = download_shard(SHARD, Shelf(), tmp_path, on_progress=lambda *said: told.append(said))
    assert path.read_bytes() == b"onetwo"
    assert path.name == "part-1.tar"
    assert told == [(3, 6), (6, 6)]
    assert files_in(tmp_path) == [path]


def test_a_copy_that_is_there_is_not_read_again(tmp_path):
    first = download_shard(SHARD, Shelf(), tmp_path)
    shelf = Shelf()
    assert download_shard(SHARD, shelf, tmp_path) == first
    assert shelf.read == 0


def test_an_object_that_changed_is_another_copy(tmp_path):
    first = download_shard(SHARD, Shelf(), tmp_path)
    second = download_shard(SHARD, Shelf((b"new",), etag='"2"'), tmp_path)
    assert (first.read_bytes(), second.read_bytes()) == (b"onetwo", b"new")
    assert first.name == second.name


def test_a_copy_that_was_cut_off_leaves_nothing(tmp_path):
    with pytest.raises(StorageUnavailable):
        download_shard(SHARD, FailingShelf(), tmp_path)
    assert files_in(tmp_path) == []
    assert download_shard(SHARD, Shelf(), tmp_path).read_bytes() == b"onetwo"


def test_what_is_not_there_is_told_as_the_storage_tells_it(tmp_path):
    with pytest.raises(ObjectMissing, match=r"s3://sets/other\.tar"):
        download_shard(StoredShard("sets", "other.tar"), Shelf(), tmp_path)


def test_a_folder_that_cannot_be_written_is_told_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ShardUnreadable, match=r"s3://sets/faces/part-1\.tar .*XDG_CACHE_HOME"):
        download_shard(SHARD, Shelf(), tmp_path / "file")
