import json
import os
import shutil
import time

import pytest

from facetag.errors import InputInvalid
from facetag_cli.tagging import folder_watch
from facetag_cli.tagging.folder_watch import FolderWatch, follow, signs_of_change


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out.jsonl"


@pytest.fixture
def passes():
    """The names of the photos that each pass labelled."""
    return []


@pytest.fixture
def watch(folder, output, passes, make_line):
    def label(found):
        passes.append([photo.name for photo in found.photos])
        return [make_line(name) for name in passes[-1]]

    return lambda: FolderWatch(folder, output, label)


def put(folder, name, age_s=60.0):
    (folder / name).write_bytes(b"photo")
    then = time.time() - age_s
    os.utime(folder / name, (then, then))


def names_of(output):
    return [json.loads(line)["image"] for line in output.read_text().splitlines()]


def test_each_pass_labels_what_is_new_or_changed(folder, output, passes, watch):
    put(folder, "a.jpg")
    watched = watch()

    def changes():
        put(folder, "b.jpg")
        yield {"b.jpg"}
        yield set()
        put(folder, "a.jpg", age_s=30)
        yield {"a.jpg"}

    follow(watched, changes())
    assert passes == [["a.jpg"], ["b.jpg"], ["a.jpg"]]
    assert names_of(output) == ["a.jpg", "b.jpg", "a.jpg"]


def test_a_file_that_is_still_being_copied_waits_for_a_later_look(folder, passes, watch):
    put(folder, "a.jpg", age_s=0)
    watched = watch()
    assert watched.look()
    put(folder, "a.jpg", age_s=10)
    assert not watched.look()
    assert passes == [["a.jpg"]]


def test_a_restart_goes_on_behind_the_last_whole_line(folder, output, passes, watch):
    put(folder, "a.jpg")
    watch().look()
    with output.open("a") as file:
        file.write('{"image": "b.jp')
    put(folder, "b.jpg")
    watch().look()
    watch().look()
    assert passes == [["a.jpg"], ["b.jpg"]]
    assert names_of(output) == ["a.jpg", "b.jpg"]


def test_a_photo_that_could_not_be_read_is_tried_again_when_that_changes(folder, output, passes):
    put(folder, "a.jpg")
    put(folder, "b.jpg")
    fault = {"code": "file_unreadable", "message": "The file cannot be read: Permission denied."}

    def label(found):
        passes.append([photo.name for photo in found.photos])
        bad = "a.jpg" if len(passes) < 3 else None
        for name in passes[-1]:
            error = fault if name == bad else None
            yield {"image": name, "state": "failed" if error else "tagged", "error": error}

    watched = FolderWatch(folder, output, label)
    watched.look()
    watched.look()
    (folder / "a.jpg").chmod(0o640)
    (folder / "b.jpg").chmod(0o640)
    watched.look()
    FolderWatch(folder, output, label).look()
    watched = FolderWatch(folder, output, label)
    watched.look()
    assert passes == [["a.jpg", "b.jpg"], ["a.jpg"], ["a.jpg"]]


def test_a_photo_of_the_future_waits_no_longer_than_others(folder, passes, watch, monkeypatch):
    put(folder, "a.jpg", age_s=-1e9)
    watched = watch()
    assert watched.look()
    monkeypatch.setattr(folder_watch, "SETTLED_S", 0.0)
    assert not watched.look()
    assert passes == [["a.jpg"]]


def test_a_folder_is_read_now_and_then_without_a_sign(folder, passes, watch, monkeypatch):
    monkeypatch.setattr(folder_watch, "RESCAN_S", 0.0)

    def changes():
        put(folder, os.fsdecode(b"caf\xe9.jpg"))
        yield set()

    follow(watch(), changes())
    assert passes == [["caf\udce9.jpg"]]


def test_a_name_that_is_not_utf8_does_not_end_the_watch_and_a_lost_folder_does(folder, watch):
    watched, signs = watch(), signs_of_change(folder, check_ms=200)
    next(signs)
    for name in (b"caf\xe9.jpg", b"b.jpg"):
        put(folder, os.fsdecode(name))
        assert any(changed for changed, _ in zip(signs, range(50), strict=False))
    shutil.rmtree(folder)
    with pytest.raises(InputInvalid, match="is gone"):
        watched.look()
    with pytest.raises(InputInvalid, match="is gone"):
        next(signs_of_change(folder, check_ms=200))
