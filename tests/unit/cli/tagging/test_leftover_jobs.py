import json
from dataclasses import replace

import pytest

from facetag.settings import load_settings
from facetag_cli.client.unfinished_jobs import UnfinishedJobs, unfinished_path


@pytest.fixture
def notes(facetag):
    return UnfinishedJobs(unfinished_path(load_settings()))


@pytest.fixture
def killed_run(facetag, service, album, notes):
    """A run that was killed before the service told it which job it had started."""
    service.lost_answers = 1
    service.polls_until_done = 3
    run = facetag("tag", album)
    assert (run.exit_code, service.lost_answers) == (1, 0)
    assert "It was killed." in run.stderr
    for name, left in notes.read().items():
        notes.add(name, replace(left, owner="1:1"))


def label(facetag, album):
    """Return the lines of a run, and what it said."""
    run = facetag("tag", album, "--format", "jsonl")
    return [json.loads(line) for line in run.stdout.splitlines()], run.stderr


def test_a_job_of_which_the_service_could_not_tell_is_found_by_the_next_run(
    facetag, service, album, notes, killed_run
):
    (job,) = service.jobs
    lines, said = label(facetag, album)
    assert f"Continuing job {job} of an earlier run" in said
    assert (list(service.jobs), len(lines)) == ([job], 5)
    assert notes.read() == {}


def test_a_request_that_reached_nobody_starts_its_job_in_the_next_run(
    facetag, service, album, notes, killed_run
):
    service.jobs.clear()
    lines, _ = label(facetag, album)
    assert (len(service.jobs), len(lines), notes.read()) == (1, 5, {})


def test_the_request_for_photos_that_are_others_by_now_is_forgotten(
    facetag, service, album, notes, killed_run
):
    (album / "a.png").unlink()
    lines, _ = label(facetag, album)
    assert (len(service.jobs), len(lines), notes.read()) == (2, 4, {})
    assert len(service.made("POST", "/v1/jobs")) == 2


def test_a_job_that_has_ended_by_now_is_followed_by_a_new_one(
    facetag, service, album, notes, killed_run
):
    (job,) = service.jobs
    service.jobs[job]["polls"] = 0
    lines, said = label(facetag, album)
    assert (len(service.jobs), len(lines), "Continuing" in said) == (2, 5, False)
    assert notes.read() == {}


def test_a_job_that_lost_a_photo_is_not_gone_on_with(facetag, service, album, notes, killed_run):
    (job,) = service.jobs
    del service.jobs[job]["images"][1]
    lines, said = label(facetag, album)
    assert f"Cancelled job {job}" in said
    assert [line["image"] for line in lines] == [
        "a.png",
        "b face.jpg",
        "c.webp",
        "copy.JPG",
        "älter/d.heic",
    ]
    assert notes.read() == {}


@pytest.mark.parametrize("status", [409, 422])
def test_a_request_that_the_service_refuses_is_not_made_again(
    facetag, service, album, notes, killed_run, status
):
    service.troubles["/v1/jobs"] = [status]
    lines, said = label(facetag, album)
    assert (len(lines), "Continuing" in said, notes.read()) == (5, False, {})
    service.troubles["/v1/jobs"] = [status]
    assert facetag("tag", album, "--fresh").exit_code == 1
    assert notes.read() == {}
