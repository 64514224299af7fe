import csv
import io
import json
import uuid

import httpx
import pytest
from sqlalchemy import text

FACE = {
    "age": 30.0,
    "age_range": [25, 35],
    "gender": {"label": "female", "probability": 0.9},
    "race": {
        "label": "white",
        "probabilities": {"white": 0.6, "black": 0.1, "asian": 0.1, "indian": 0.1, "other": 0.1},
    },
}


@pytest.fixture
def job(harness):
    """A job of 1,203 images: position 0 failed, 1 has two faces, the rest none."""
    job_id = harness.post([f"tenants/local/images/{i:05}.jpg" for i in range(1203)])
    done = "model_version = 'v1', width = 64, height = 48, finished_at = now()"
    harness.change_images(f"state = 'no_face', {done}", job_id, "position > 1")
    harness.change_images(f"state = 'tagged', {done}", job_id, "position = 1")
    harness.change_images(
        "state = 'failed', error_code = 'truncated', error_message = 'The file ends early.'",
        job_id,
        "position = 0",
    )
    insert = text(
        "INSERT INTO faces (tenant_id, image_id, position, x, y, width, height, confidence,"
        " attributes) SELECT 'local', id, :position, 1, 2, 3, 4, 0.99, CAST(:face AS jsonb)"
        " FROM images WHERE job_id = :job AND position = 1"
    )
    with harness.transaction() as session:
        for position in (0, 1):
            values = {"position": position, "face": json.dumps(FACE), "job": job_id}
            session.execute(insert, values)
    return job_id


def test_results_stream_as_a_line_for_each_image_in_order(api, job):
    with api.stream("GET", f"/v1/jobs/{job}/results") as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert [line["image"] for line in lines] == [
        f"tenants/local/images/{i:05}.jpg" for i in range(1203)
    ]
    assert lines[0] == {
        "image": "tenants/local/images/00000.jpg",
        "state": "failed",
        "error": {"code": "truncated", "message": "The file ends early."},
        "model": None,
        "width": None,
        "height": None,
        "faces": [],
    }
    assert lines[1]["faces"] == [{"box": [1, 2, 3, 4], "confidence": 0.99, **FACE}] * 2


def test_results_as_csv_have_a_row_for_each_face(api, job):
    answer = api.get(f"/v1/jobs/{job}/results", params={"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert f"facetag-{job}.csv" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 1204
    assert [row["face"] for row in rows[:4]] == ["", "0", "1", ""]


def test_images_come_page_by_page_and_by_state(api, job):
    path = f"/v1/jobs/{job}/images"
    first = api.get(path, params={"limit": 2}).json()
    assert [line["position"] for line in first["images"]] == [0, 1]
    second = api.get(path, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [line["position"] for line in second["images"]] == [2, 3]
    tagged = api.get(path, params={"state": "tagged"}).json()
    assert [line["position"] for line in tagged["images"]] == [1]
    assert tagged["next_cursor"] is None


def test_what_was_open_and_what_repeats_another_image_is_asked_for_alone(api, harness, job):
    harness.change_images("duplicate_of = 1", job, "position = 7")
    path = f"/v1/jobs/{job}/images"
    found = api.get(path, params={"unsettled": [1, 1202], "limit": 2}).json()
    more = api.get(
        path, params={"unsettled": [1, 1202], "limit": 2, "cursor": found["next_cursor"]}
    ).json()
    lines = [*found["images"], *more["images"]]
    assert [line["position"] for line in lines] == [1, 7, 1202]
    assert lines[1]["duplicate_of"] == "tenants/local/images/00001.jpg"
    assert more["next_cursor"] is None
    assert api.get(path, params={"unsettled": list(range(501))}).status_code == 422
    assert api.get(path, params={"unsettled": [-1]}).status_code == 422


def test_results_of_no_job_are_a_problem(api):
    answer = api.get(f"/v1/jobs/{uuid.uuid4()}/results")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def post_long_job(api):
    """Make a job whose results are more than the buffers between server and client hold."""
    image = {"key": "tenants/local/images/a.jpg", "name": "x" * 1000}
    return api.post("/v1/jobs", json={"images": [image] * 12_000}).json()["id"]


def test_a_stream_that_cannot_be_completed_breaks_off(api, harness):
    job = post_long_job(api)
    with api.stream("GET", f"/v1/jobs/{job}/results") as answer:
        blocks = answer.iter_bytes()
        next(blocks)
        with harness.transaction() as session:
            session.execute(text("DELETE FROM jobs"))
        with pytest.raises(httpx.RemoteProtocolError):
            list(blocks)


def test_a_client_that_does_not_read_holds_no_connection_to_the_database(api, harness):
    job = post_long_job(api)
    with api.stream("GET", f"/v1/jobs/{job}/results") as answer:
        next(answer.iter_bytes())

        def idle():
            query = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE '%in transaction'"
            with harness.transaction() as session:
                return session.execute(text(query)).scalar_one() == 0

        harness.wait_until(idle, "no transaction is open")
