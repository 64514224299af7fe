import tarfile

import pytest

from facetag.errors import ShardUnreadable
from facetag_trainer.data.labelled_folder import open_as_shard


def test_a_folder_becomes_a_shard_of_its_images_and_labels(tmp_path):
    folder = tmp_path / "faces"
    (folder / "sub").mkdir(parents=True)
    for name in ("20_0_1_a.jpg", "sub/b.png", "sub/b.json", "notes.txt"):
        (folder / name).write_bytes(b"x")
    with open_as_shard(folder) as shard, tarfile.open(shard) as archive:
        assert archive.getnames() == ["20_0_1_a.jpg", "sub/b.json", "sub/b.png"]
    assert not shard.exists()


def test_a_file_stays_what_it_is_and_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"")
    with open_as_shard(tmp_path / "a.tar") as shard:
        assert shard == tmp_path / "a.tar"
    (tmp_path / "empty").mkdir()
    with pytest.raises(ShardUnreadable, match="No images"), open_as_shard(tmp_path / "empty"):
        pass


def test_two_names_of_one_file_are_two_files_and_broken_links_are_none(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "a.json").write_text('{"age": 20}')
    (tmp_path / "b.jpg").hardlink_to(tmp_path / "a.jpg")
    (tmp_path / "b.json").hardlink_to(tmp_path / "a.json")
    (tmp_path / "c.jpg").symlink_to(tmp_path / "a.jpg")
    (tmp_path / "d.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "e.jpg").mkdir()
    with open_as_shard(tmp_path) as shard, tarfile.open(shard) as archive:
        assert archive.getnames() == ["a.jpg", "a.json", "b.jpg", "b.json", "c.jpg"]
        assert all(member.isreg() for member in archive)
