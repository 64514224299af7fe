import json
import os
import shlex

import pytest

from facetag.client.api_client import ApiClient, Service
from facetag.inputs.photo_files import FoundPhotos
from facetag.settings import Settings
from facetag_cli.delivery import line_delivery
from facetag_cli.reporter import Reporter
from facetag_cli.tagging.tagging_run import TaggingRun, say_unsearched

ID = "956ebfbc-0000-0000-0000-000000000000"


@pytest.fixture
def tag(facetag, album, tmp_path):
    """Label the album, whose files have lain there for long, and return the lines."""

    def run(*options):
        for path in album.rglob("*"):
            os.utime(path, (1_000_000_000, 1_000_000_000))
        done = facetag("tag", album, "--output", tmp_path / "labels.jsonl", *options)
        assert done.exit_code == 3, done.output
        run.said = done.stderr
        return (tmp_path / "labels.jsonl").read_text().splitlines()

    return run


def asked(service, path):
    return [json.loads(body) for body in service.made("POST", path)]


@pytest.mark.parametrize("fewest_known", [1, 100])
def test_the_next_run_names_the_job_of_the_last_one_and_what_is_new(
    service, tag, album, fewest_known, monkeypatch
):
    monkeypatch.setattr("facetag_cli.client.early_results.FEWEST_KNOWN", fewest_known)
    first = tag()
    (album / "0 face.jpg").write_bytes(b"a new face")
    (album / "a.png").write_bytes(b"another wall")
    (album / "copy.JPG").unlink()
    grown = tag()
    assert [json.loads(line)["image"] for line in grown] == [
        "0 face.jpg",
        "a.png",
        "b face.jpg",
        "c.webp",
        "älter/d.heic",
    ]
    assert grown[2:] == [first[1], first[2], first[4]]
    # The photo that failed is tried again.
    body = asked(service, "/v1/jobs")[1]
    assert [image["name"] for image in body["images"]] == ["0 face.jpg", "a.png", "c.webp"]
    assert [tuple(run.values()) for run in body["known"]["runs"]] == [(2, 1, 1), (4, 4, 1)]
    files = asked(service, "/v1/uploads")[1:]
    assert sum(len(one["files"]) for one in files) == 3
    # Where much is known, the lines of what stayed are those of the file.
    read = [path for _, path, _ in service.requests if path.endswith("/results")]
    assert len(read) == (1 if fewest_known == 1 else 2)


def test_the_lines_of_a_reviewed_job_are_not_taken_from_its_file(service, tag, monkeypatch):
    monkeypatch.setattr("facetag_cli.client.early_results.FEWEST_KNOWN", 1)
    service.reviewed = [0]
    tag()
    service.reviewed = []
    for read in (2, 2):
        tag()
        made = [path for _, path, _ in service.requests if path.endswith("/results")]
        assert len(made) == read


def test_a_file_that_another_run_replaced_while_the_report_was_made_is_not_read(
    tag, tmp_path, monkeypatch
):
    monkeypatch.setattr("facetag_cli.client.early_results.FEWEST_KNOWN", 1)
    made = line_delivery.make_thumbnails

    def make_late(*arguments):
        path = tmp_path / "labels.jsonl"
        path.write_text(path.read_text().replace("female", "male"))
        return made(*arguments)

    monkeypatch.setattr(line_delivery, "make_thumbnails", make_late)
    tag("--report", tmp_path / "report.html")
    assert "female" in tag()[1]


@pytest.mark.parametrize("deleted", [True, False])
def test_all_are_named_if_the_last_job_is_gone_or_all_shall_be_labelled_again(
    service, tag, deleted
):
    lines = tag()
    if deleted:
        service.jobs.clear()
        assert tag() == lines
    else:
        assert tag("--fresh") == lines
    body = asked(service, "/v1/jobs")[-1]
    assert (len(body["images"]), "known" in body) == (5, False)
    assert len(service.made("POST", "/v1/jobs")) == 2 + deleted
    assert tag.said.count("Sent 0 photos") == 1
    assert len(asked(service, "/v1/uploads")[-1]["files"]) >= 3


def test_the_command_that_shows_the_labels_again_can_be_copied_into_a_shell(tmp_path, capsys):
    data = tmp_path / "my faces"
    settings = Settings(api_url=None, data_dir=data)
    with ApiClient(Service("http://127.0.0.1:9")) as client:
        run = TaggingRun(client, Reporter(), settings, FoundPhotos((tmp_path,)), own=False)
        run.jobs = [{"id": ID}]
        run.say_kept()
    (_, command, _) = capsys.readouterr().err.split("`")
    assert shlex.split(command) == ["facetag", "results", "956ebfbc", "--data-dir", str(data)]


def test_folders_that_were_not_searched_are_counted_with_what_to_do(tmp_path, capsys):
    found = FoundPhotos((tmp_path,))
    say_unsearched(found, Reporter(quiet=True))
    assert capsys.readouterr().err == ""
    found.closed_folders += ["a", "b"]
    found.foreign_links += ["c"]
    say_unsearched(found, Reporter(quiet=True))
    closed, foreign = capsys.readouterr().err.splitlines()
    assert closed.startswith("2 folders could not be listed: give yourself the right to read them")
    assert foreign == "1 link of other users not followed: give the folders themselves."
