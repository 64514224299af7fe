"""SeaweedFS's index: its settings, and writing it anew."""

import sqlite3
from contextlib import closing

import pytest

from facetag.standalone.servers import storage_index
from facetag.standalone.servers.storage_index import EARLIER_FOLDER, FILE, StorageIndex

KEYS = [f"{number:04}" + "k" * 100 for number in range(2000)]


@pytest.fixture
def index(tmp_path):
    """Return an index to which 2,000 keys were written, of which every second one is deleted."""
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE filemeta (name TEXT PRIMARY KEY) WITHOUT ROWID")
        database.executemany("INSERT INTO filemeta VALUES (?)", [(key,) for key in KEYS])
        database.executemany("DELETE FROM filemeta WHERE name = ?", [(key,) for key in KEYS[::2]])
        yield StorageIndex(tmp_path)


def held(folder):
    files = [path.read_bytes() for path in folder.iterdir()]
    return {key for key in KEYS if any(key.encode() in content for content in files)}


def test_it_holds_only_living_keys_when_written_anew_while_it_is_open(index, tmp_path):
    assert held(tmp_path) > set(KEYS[1::2])
    assert not index.rewrite(quiet_s=3600)
    assert held(tmp_path) > set(KEYS[1::2])
    assert index.rewrite(quiet_s=0)
    assert held(tmp_path) == set(KEYS[1::2])


def test_it_waits_once_for_uploads_to_end_and_always_for_room(index, tmp_path, monkeypatch):
    assert not index.rewrite(quiet_s=3600)
    with monkeypatch.context() as patch:
        patch.setattr(storage_index, "free_space", lambda _: storage_index.STORAGE_RESERVE)
        assert not index.rewrite(quiet_s=3600)
    assert index.rewrite(quiet_s=3600)
    with closing(sqlite3.connect(tmp_path / FILE)) as other, other:
        other.execute(f"DELETE FROM filemeta WHERE name = '{KEYS[1]}'")
    assert not index.rewrite(quiet_s=3600)
    assert index.rewrite(quiet_s=3600)
    assert held(tmp_path) == set(KEYS[3::2])


def test_it_is_written_anew_only_if_it_has_changed_and_is_not_locked(index, tmp_path):
    assert index.rewrite(quiet_s=0)
    assert not index.rewrite(quiet_s=0)
    with closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.execute(f"DELETE FROM filemeta WHERE name = '{KEYS[1]}'")
        assert not StorageIndex(tmp_path).rewrite(quiet_s=0, wait_s=0.1)
        other.commit()
        assert index.rewrite(quiet_s=0)


def test_a_folder_of_an_earlier_version_keeps_its_index(tmp_path):
    index = StorageIndex(tmp_path)
    assert index.settings().startswith("[sqlite]")
    (tmp_path / EARLIER_FOLDER).mkdir()
    assert index.settings().startswith("[leveldb2]")
    assert not index.rewrite(quiet_s=0)
