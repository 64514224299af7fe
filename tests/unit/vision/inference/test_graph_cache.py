"""What is kept is what was made; what is damaged, or not the user's own, is made again."""

import json
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from facetag.settings import Settings
from facetag.vision.inference.graph_cache import GraphCache, digest

FACTS = {"weights": "abc", "libraries": {"openvino": "1"}}
FILES = {"a.xml": b"<net/>", "a.bin": bytes(range(100))}


def refuse():
    raise AssertionError("what is kept was made again")


@pytest.fixture
def cache(tmp_path):
    return GraphCache(tmp_path / "graphs", 10_000)


def entry(cache, facts=FACTS):
    return cache.root / "traced" / digest(facts)


def test_what_was_made_is_kept_for_its_facts_alone(cache):
    assert cache.lacks("traced")
    assert cache.get("traced", FACTS, lambda: FILES) == FILES
    assert (cache.lacks("traced"), cache.lacks("compiled")) == (False, True)
    assert cache.get("traced", FACTS, refuse) == FILES
    others = FACTS | {"libraries": {"openvino": "2"}}
    assert cache.get("traced", others, lambda: {"b": b"2"}) == {"b": b"2"}
    assert cache.get("compiled", FACTS, lambda: {"c": b"3"}) == {"c": b"3"}
    assert cache.get("traced", FACTS, refuse) == FILES


@pytest.mark.parametrize("damage", ["changed", "cut", "missing", "no checksums", "odd checksums"])
def test_a_damaged_entry_is_made_again(cache, damage):
    cache.get("traced", FACTS, lambda: FILES)
    file = entry(cache) / ("sha256.json" if "checksums" in damage else "a.bin")
    if damage == "changed":
        file.write_bytes(b"1" + file.read_bytes()[1:])
    elif damage == "odd checksums":
        file.write_text(json.dumps([1, 2]))
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        file.unlink()
    made = []
    assert cache.get("traced", FACTS, lambda: made.append(1) or FILES) == FILES
    assert made
    assert cache.get("traced", FACTS, refuse) == FILES


def test_only_the_user_may_use_the_folders(cache):
    cache.root.mkdir(mode=0o777)
    cache.root.chmod(0o777)
    cache.get("traced", FACTS, lambda: FILES)
    for folder in (cache.root, cache.root / "traced", entry(cache)):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_others_may_write_to_is_not_read(cache):
    cache.get("traced", FACTS, lambda: FILES)
    (cache.root / "traced").chmod(0o770)
    made = []
    cache.get("traced", FACTS, lambda: made.append(1) or FILES)
    # What was there may be another's: its folder is made private before anything is read.
    assert stat.S_IMODE((cache.root / "traced").stat().st_mode) == 0o700


def test_another_users_folder_is_left_alone(cache, monkeypatch):
    cache.get("traced", FACTS, lambda: FILES)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert cache.get("traced", FACTS, lambda: {"mine": b"1"}) == {"mine": b"1"}
    monkeypatch.undo()
    assert cache.get("traced", FACTS, refuse) == FILES


def test_without_a_folder_to_write_to_graphs_are_made_each_time(tmp_path):
    (tmp_path / "file").write_text("")
    cache = GraphCache(tmp_path / "file" / "graphs", 10_000)
    assert cache.get("traced", FACTS, lambda: FILES) == FILES
    assert cache.get("traced", FACTS, lambda: {"again": b"1"}) == {"again": b"1"}


def test_with_no_room_nothing_is_kept(tmp_path):
    cache = GraphCache(tmp_path / "graphs", 0)
    assert cache.get("traced", FACTS, lambda: FILES) == FILES
    assert not cache.lacks("traced")
    assert not cache.root.exists()


def test_those_used_longest_ago_make_room(cache):
    for number in range(4):
        cache.get("traced", {"number": number}, lambda: {"a": bytes(3000)})
        # An hour apart, the oldest first.
        stamp = 1_000_000 + 3600 * number
        os.utime(entry(cache, {"number": number}) / "sha256.json", (stamp, stamp))
        if number == 2:
            # Reading counts as use.
            cache.get("traced", {"number": 0}, refuse)
    kept = [number for number in range(4) if entry(cache, {"number": number}).exists()]
    assert kept == [0, 2, 3]


def test_processes_that_miss_at_the_same_time_make_it_once(cache):
    made = []
    together = threading.Barrier(4)

    def get(_):
        together.wait()
        return cache.get("traced", FACTS, lambda: made.append(1) or FILES)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(get, range(4))) == [FILES] * 4
    assert len(made) == 1


def test_a_maker_that_fails_leaves_nothing_and_blocks_nobody(cache):
    with pytest.raises(AssertionError):
        cache.get("traced", FACTS, refuse)
    (cache.root / "traced" / ".draft-left-by-a-kill").mkdir()
    assert cache.get("traced", FACTS, lambda: FILES) == FILES
    assert {path.name for path in (cache.root / "traced").iterdir()} == {"lock", digest(FACTS)}


def test_the_settings_say_how_much_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = GraphCache.of(Settings(graph_cache_mb=7))
    assert cache == GraphCache(tmp_path / "facetag" / "graphs", 7_000_000)
