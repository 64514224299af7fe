import json

import pytest

from tests.unit.api.conftest import open_client

PROBLEM = "application/problem+json"
SHA256 = "a" * 64


def assert_problem(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    body = answer.json()
    assert body["status"] == status
    assert body["type"]
    assert body["title"]
    assert body["detail"]
    return body


def test_an_unknown_path_is_a_problem(client):
    body = assert_problem(client.get("/v2/nothing"), 404)
    assert body["type"] == "about:blank"


def test_a_wrong_method_is_a_problem_that_names_the_right_one(client):
    answer = client.put("/v1/jobs")
    assert_problem(answer, 405)
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ("{", "body"),
        ("[]", "body"),
        ('{"images": []}', "images"),
        ("{}", "body"),
        ('{"images": [{"key": ""}]}', "key"),
        ('{"images": [{"key": "a", "size": 3}]}', "size"),
        ('{"images": [{"key": "a"}], "prefix": "s3://museum/"}', "body"),
        ('{"images": [{"key": "a"}], "surprise": 1}', "surprise"),
        ('{"images": [{"key": "a", "name": "\\u0000"}]}', "name"),
        ('{"images": [{"key": "a", "name": "\\ud800"}]}', "body"),
    ],
)
def test_a_wrong_job_is_a_problem_that_says_where(client, body, where):
    answer = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    problem = assert_problem(answer, 422)
    assert where in problem["errors"][0]["loc"]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("images/a.jpg", "must begin with tenants/local/"),
        ("tenants/other/images/a.jpg", "must begin with tenants/local/"),
        ("tenants/local/../other/a.jpg", "refused"),
        ("tenants/local/a\nb.jpg", "refused"),
        ("s3://facetag/tenants/other/a.jpg", "must begin with tenants/local/"),
        ("s3://secret/a.jpg", "FACETAG_SOURCE_BUCKETS"),
        ("s3://museum", "empty"),
        ("s3://MUSEUM/a.jpg", "give the key as s3://bucket/key"),
    ],
)
def test_a_key_of_somebody_else_is_refused(client, key, said):
    good = {"key": "tenants/local/images/a.jpg"}
    answer = client.post("/v1/jobs", json={"images": [good, {"key": key}]})
    problem = assert_problem(answer, 422)
    assert said in problem["errors"][0]["message"]
    assert problem["errors"][0]["loc"] == ["body", "images", 1]


@pytest.mark.parametrize("prefix", ["museum/1920s", "s3://secret/", "s3://facetag/"])
def test_a_prefix_of_somebody_else_is_refused(client, prefix):
    assert_problem(client.post("/v1/jobs", json={"prefix": prefix}), 422)


def test_a_thousand_wrong_keys_are_counted_but_not_repeated(client):
    answer = client.post("/v1/jobs", json={"images": [{"key": "elsewhere"}] * 1000})
    problem = assert_problem(answer, 422)
    assert "1000 faults" in problem["detail"]
    assert len(problem["errors"]) == 20


def test_more_images_than_a_job_may_have_are_refused(client):
    images = [{"key": "tenants/local/images/a"}] * 1001
    problem = assert_problem(client.post("/v1/jobs", json={"images": images}), 422)
    assert "FACETAG_MAX_JOB_IMAGES" in problem["detail"]


@pytest.mark.parametrize(
    "file",
    [
        {"sha256": "abc", "size": 1},
        {"sha256": SHA256, "size": -1},
        {"sha256": SHA256, "size": 10**12},
        {"sha256": SHA256, "size": 1, "suffix": "/../x"},
        {"sha256": SHA256, "size": 1, "content_type": "text/html"},
    ],
)
def test_a_wrong_upload_is_refused(client, file):
    problem = assert_problem(client.post("/v1/uploads", json={"files": [file]}), 422)
    assert problem["errors"][0]["loc"][:3] == ["body", "files", 0]


def test_a_job_that_is_not_declared_as_json_is_refused(client):
    answer = client.post("/v1/jobs", content="{}", headers={"Content-Type": "text/plain"})
    assert_problem(answer, 415)


def test_no_id_at_all_is_a_job_that_does_not_exist(client):
    assert "no job abc" in assert_problem(client.get("/v1/jobs/abc"), 404)["detail"]


def test_a_forged_cursor_is_refused(client):
    job = "/v1/jobs/00000000-0000-4000-8000-000000000000"
    assert_problem(client.get(f"{job}/images", params={"cursor": "zzz"}), 422)
    assert_problem(client.get(f"{job}/images", params={"state": "asleep"}), 422)
    assert_problem(client.get(f"{job}/results", params={"format": "xml"}), 422)


def test_a_database_that_is_down_is_a_503_that_names_no_host(client):
    for answer in (
        client.get("/v1/jobs"),
        client.post("/v1/jobs", json={"images": [{"key": "tenants/local/images/a"}]}),
        client.get("/v1/models"),
    ):
        problem = assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
        assert "FACETAG_DATABASE_URL" in problem["detail"]
        assert "127.0.0.1" not in answer.text


def test_readiness_says_which_parts_are_down(client):
    answer = client.get("/readyz")
    assert answer.status_code == 503
    body = answer.json()
    assert body["status"] == "unavailable"
    assert set(body["parts"]) == {
        "database",
        "queue",
        "storage",
        "disk",
        "worker",
        "sweeper",
        "erasure",
    }
    assert "FACETAG_DATABASE_URL" in body["parts"]["database"]
    assert "FACETAG_REDIS_URL" in body["parts"]["queue"]
    assert "FACETAG_S3_ENDPOINT_URL" in body["parts"]["storage"]
    assert body["parts"]["worker"] == "none seen"


def test_a_fault_of_ours_shows_an_id_and_no_traceback(app, caplog):
    @app.get("/broken")
    def break_down():
        raise ZeroDivisionError("secret detail")

    with open_client(app, raise_server_exceptions=False) as client:
        answer = client.get("/broken", headers={"X-Request-ID": "abc-123"})
    problem = assert_problem(answer, 500)
    assert problem["request_id"] == "abc-123"
    assert answer.headers["x-request-id"] == "abc-123"
    assert "secret" not in json.dumps(problem)
    assert "Traceback" not in answer.text
