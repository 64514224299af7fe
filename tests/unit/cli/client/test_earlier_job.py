import os

from facetag.settings import Settings
from facetag_cli.client import earlier_job
from facetag_cli.client.earlier_job import (
    KEPT_FOLDERS,
    NO_JOB,
    EarlierJob,
    LabelledFolders,
)
from facetag_cli.client.earlier_output import EarlierOutput


def images(*names):
    return [{"key": f"images/{name[0]}/{name}", "name": name} for name in names]


def test_photos_that_stayed_are_named_in_runs_and_all_others_one_by_one():
    job = EarlierJob.of("7", images("a", "b", "bad", "c", "d", "e"), [1, 1, 0, 1, 1, 1])
    changed = {"key": "images/x/x", "name": "d"}
    new = [*images("0", "a", "b", "bad", "c"), changed, *images("e", "f")]
    others, known = job.divide(new)
    assert others == [*images("0", "bad"), changed, *images("f")]
    assert known == {
        "job": "7",
        "runs": [
            {"place": 1, "first": 0, "number": 2},
            {"place": 4, "first": 3, "number": 1},
            {"place": 6, "first": 5, "number": 1},
        ],
    }
    # In another order too, each photo gets its own result.
    assert job.divide(images("b", "a"))[1]["runs"] == [
        {"place": 0, "first": 1, "number": 1},
        {"place": 1, "first": 0, "number": 1},
    ]
    assert job.divide(images("z")) == (images("z"), None)
    assert NO_JOB.divide(images("a")) == (images("a"), None)


def test_a_key_is_known_only_for_the_same_name_and_content():
    job = EarlierJob.of("7", images("a.jpg"), [True])
    assert job.find_key("a.jpg", "a.jpg") == "images/a/a.jpg"
    assert job.find_key("a.jpg", "changed.jpg") is None
    assert job.find_key("b.jpg", "a.jpg") is None


def test_each_folder_of_each_service_has_its_own_job(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    here = LabelledFolders(Settings(data_dir=tmp_path))
    there = LabelledFolders(Settings(data_dir=tmp_path, api_url="http://service"))
    output = EarlierOutput("labels.jsonl", 7, 8)
    job = EarlierJob.of("7", images("a", "\udce9"), [True, True], output)
    here.write("/photos", job)
    assert here.read("/photos") == job
    assert (here.read("/others"), there.read("/photos")) == (NO_JOB, NO_JOB)
    monkeypatch.setattr(earlier_job, "version", lambda package: "another")
    assert LabelledFolders(Settings(data_dir=tmp_path)).read("/photos") == NO_JOB


def test_only_the_last_folders_are_kept_and_damage_is_no_obstacle(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folders = LabelledFolders(Settings())
    for number in range(KEPT_FOLDERS + 1):
        folders.write(str(number), EarlierJob.of(str(number), images("a"), [True]))
        (newest,) = set((tmp_path / "cache").rglob("*.json")) - {
            path for path in (tmp_path / "cache").rglob("*.json") if path.stat().st_mtime < 1e6
        }
        os.utime(newest, (number + 1, number + 1))
    assert folders.read("0") == NO_JOB
    assert folders.read("1").job_id == "1"
    for path in (tmp_path / "cache").rglob("*.json"):
        path.write_text('{"job": "7", "photos": {"a": 1}}')
    assert folders.read("1") == NO_JOB
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc")
    LabelledFolders(Settings()).write("1", NO_JOB)
