import socket
import uuid

import pytest

from facetag.client.api_client import ApiClient, Service
from facetag.errors import (
    ApiUnavailable,
    FacetagError,
    JobNotFound,
    JobStateConflict,
    RequestRejected,
)

JOB = str(uuid.uuid4())


@pytest.fixture
def client(service):
    with ApiClient(Service(service.url), first_pause_s=0.01) as client:
        yield client


def test_a_service_that_is_away_names_the_address_and_the_way_out():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with (
        ApiClient(Service(url), attempts=2, first_pause_s=0.01) as client,
        pytest.raises(ApiUnavailable, match="facetag up") as raised,
    ):
        client.get_job(JOB)
    assert url in str(raised.value)


def test_an_address_that_is_none_is_said_to_be_one():
    with (
        ApiClient(Service("not a url"), attempts=1) as client,
        pytest.raises(ApiUnavailable, match="FACETAG_API_URL"),
    ):
        client.get_job(JOB)


def test_a_job_that_does_not_exist_is_not_found(client):
    with pytest.raises(JobNotFound, match="No such job"):
        client.get_job(JOB)


def test_transient_answers_are_tried_again(service, client):
    service.troubles["/v1/uploads"] = [503, 502]
    wanted = {"sha256": "a" * 64, "size": 1, "suffix": ".jpg", "content_type": "image/jpeg"}
    assert client.request_uploads([wanted])[0]["exists"] is False
    assert len(service.made("POST", "/v1/uploads")) == 3


def test_a_service_in_trouble_is_given_up_in_the_end(service, client):
    service.troubles["/v1/uploads"] = [503] * 9
    with pytest.raises(ApiUnavailable, match="Told to fail"):
        client.request_uploads([])
    assert len(service.made("POST", "/v1/uploads")) == 4


def test_a_prediction_is_not_tried_twice(service, client):
    service.troubles["/v1/predict"] = [504]
    with pytest.raises(ApiUnavailable, match="Told to fail"):
        client.predict("a.jpg", b"x")
    assert len(service.made("POST", "/v1/predict")) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(409, JobStateConflict), (422, RequestRejected), (403, RequestRejected), (500, FacetagError)],
)
def test_every_refusal_is_an_error_of_facetag(service, client, status, error):
    path = f"/v1/jobs/{JOB}/cancel"
    service.troubles[path] = [status]
    with pytest.raises(error, match="Told to fail"):
        client.cancel_job(JOB)
    assert len(service.made("POST", path)) == 1


def test_results_keep_line_separators_inside_names(service, client):
    name = "a\u2028b.jpg"
    service.objects["k"] = b"face"
    job = client.create_job([{"key": "k", "name": name}], name=None, idempotency_key="1")
    with client.stream_results(job["id"]) as lines:
        (line,) = lines
    assert name in line


@pytest.mark.parametrize("last_line_end", ["\n", ""])
def test_results_are_read_to_the_last_line(service, client, last_line_end):
    service.last_line_end = last_line_end
    service.objects["k"] = b"face"
    images = [{"key": "k", "name": name} for name in "abc"]
    job = client.create_job(images, name=None, idempotency_key="1")
    with client.stream_results(job["id"]) as lines:
        assert len(list(lines)) == 3
