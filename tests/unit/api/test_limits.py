import pytest

from facetag_api.app import create_app
from facetag_api.limits import MAX_SMALL_BODY, body_limits
from tests.unit.api.conftest import open_client


def assert_too_large(answer):
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/uploads"])
def test_a_body_that_declares_too_many_bytes_is_refused(client, settings, path):
    body = b" " * (body_limits(settings)[path] + 1)
    assert_too_large(client.post(path, content=body, headers={"Content-Type": "application/json"}))


def test_a_body_of_unknown_length_is_refused_while_it_is_read(client, settings):
    block = b" " * 65536

    def endless():
        for _ in range(body_limits(settings)["/v1/jobs"] // len(block) + 2):
            yield block

    answer = client.post(
        "/v1/jobs", content=endless(), headers={"Content-Type": "application/json"}
    )
    assert_too_large(answer)


def test_a_photo_that_is_too_large_is_refused(client, settings):
    small = settings.model_copy(update={"max_image_bytes": 1000})
    with open_client(create_app(small)) as own:
        answer = own.post("/v1/predict", files={"file": ("a.jpg", b"x" * 1001)})
    assert_too_large(answer)


def test_a_route_without_a_large_body_takes_a_small_one_only(client):
    job = "/v1/jobs/00000000-0000-4000-8000-000000000000/retry"
    answer = client.post(
        job, content=b" " * (MAX_SMALL_BODY + 1), headers={"Content-Type": "application/json"}
    )
    assert_too_large(answer)


def test_a_job_of_all_images_that_are_allowed_fits(settings):
    key = f"tenants/local/images/aa/{'a' * 64}.jpg"
    entry = f'{{"key": "{key}", "name": "{"n" * 150}"}}, '
    assert body_limits(settings)["/v1/jobs"] >= settings.max_job_images * len(entry)
