import pytest

from facetag.client.api_client import ApiClient, Service
from facetag.errors import ApiUnavailable
from facetag_cli.client.job_progress import (
    WaitingHint,
    describe_counts,
    finished_count,
    labelling_time_s,
    poll_job,
    wait_for_job,
)
from facetag_cli.client.tagging_jobs import start_job
from facetag_cli.reporter import Reporter


@pytest.fixture
def client(service):
    with ApiClient(Service(service.url), attempts=1) as client:
        yield client


@pytest.fixture
def job(service, client):
    service.polls_until_done = 2
    service.objects |= {"a": b"face", "b": b"wall", "c": b"broken"}
    return start_job(client, [{"key": key, "name": key} for key in "abc"], name="album")


def test_a_job_is_followed_to_its_end(client, job):
    states = [seen["state"] for seen in poll_job(client, job["id"])]
    assert states == ["queued", "completed_with_errors"]


def test_the_ended_job_is_returned_with_its_counts(client, job):
    ended = wait_for_job(client, job["id"], Reporter(quiet=True))
    assert finished_count(ended) == 3
    assert describe_counts(ended) == "1 tagged, 1 no face, 1 failed"


def test_a_service_that_restarts_is_waited_for(service, client, job):
    service.troubles[f"/v1/jobs/{job['id']}"] = [503, 503]
    assert wait_for_job(client, job["id"], Reporter(quiet=True))["state"] == "completed_with_errors"


def test_a_service_that_stays_away_is_given_up(service, client, job):
    service.troubles[f"/v1/jobs/{job['id']}"] = [503] * 99
    with pytest.raises(ApiUnavailable):
        list(poll_job(client, job["id"], patience_s=0))


def test_a_job_that_no_worker_takes_is_explained_once_and_not_at_once(service, client, capsys):
    service.worker = "none seen"
    now = [0.0]
    hint = WaitingHint(client, Reporter(), quiet_s=30, clock=lambda: now[0])
    hint.give()
    assert capsys.readouterr().err == ""
    now[0] = 31.0
    hint.give()
    hint.give()
    said = capsys.readouterr().err
    assert said.count("facetag worker") == 1
    assert "worker: none seen" in said


def test_the_time_of_labelling_leaves_out_what_the_job_waited(client, job):
    ended = wait_for_job(client, job["id"], Reporter(quiet=True))
    assert labelling_time_s([ended, ended, {**ended, "started_at": None}]) == 2.0


def test_a_cancelled_job_is_followed_until_nothing_of_it_runs(client, job):
    client.cancel_job(job["id"])
    seen = list(poll_job(client, job["id"]))
    assert [one["state"] for one in seen] == ["cancelled", "cancelled"]
    assert [one["finished_at"] is None for one in seen] == [True, False]
