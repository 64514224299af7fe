import json
import os
import time

import pytest

from facetag_cli.tagging.folder_watch import FolderWatch, follow


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
