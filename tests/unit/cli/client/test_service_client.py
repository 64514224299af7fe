"""The library's client, against the fake service that the command line is tested with."""

import pytest

import facetag
from facetag.client.api_client import ApiClient, Service
from facetag.errors import ApiUnavailable, JobNotFound, JobUnfinished


@pytest.fixture
def job(service):
    service.objects = {"a": b"face", "b": b"broken", "c": b"nobody"}
    images = [{"key": key, "name": f"{key}.jpg"} for key in "abc"]
    with ApiClient(Service(service.url)) as api:
        api.create_job(images, name="holiday", idempotency_key="1")
    with facetag.Client(service.url) as client:
        (job,) = client.jobs()
        yield job


def test_a_job_is_found_waited_for_and_read(service, job):
    service.polls_until_done = 2
    assert (job.name, job.total) == ("holiday", 3)
    assert job.wait(timeout_s=20).finished
    assert (job.state, job.counts["failed"]) == ("completed_with_errors", 1)
    assert [line["state"] for line in job.results()] == ["tagged", "failed", "no_face"]
    assert job.results().to_pandas()["image"].tolist() == ["a.jpg", "b.jpg", "c.jpg"]
    with facetag.Client(service.url) as client:
        assert client.job(job.id).state == "completed_with_errors"
        with pytest.raises(JobNotFound):
            client.job("00000000-0000-0000-0000-000000000000")


def test_names_are_those_on_the_owners_disk(service):
    service.objects = {"a": b"face"}
    with ApiClient(Service(service.url)) as api:
        view = api.create_job(
            [{"key": "a", "name": r"caf\xe9.jpg"}], name="holiday", idempotency_key="1"
        )
    with facetag.Client(service.url) as client:
        results = client.job(view["id"]).wait(timeout_s=20).results()
        assert [line["image"] for line in results] == ["caf\udce9.jpg"]
        assert results.to_arrow()["image"].to_pylist() == [r"caf\xe9.jpg"]


def test_waiting_ends_when_the_caller_has_no_more_time(service, job):
    service.jobs[job.id]["polls"] = 1000
    with pytest.raises(JobUnfinished, match="wait again"):
        job.wait(timeout_s=0.1)


def test_no_service_is_said_in_one_line_with_the_way_out(monkeypatch):
    monkeypatch.setenv("FACETAG_API_URL", "http://127.0.0.1:9")
    with facetag.Client() as client, pytest.raises(ApiUnavailable, match="facetag up"):
        client.jobs()
