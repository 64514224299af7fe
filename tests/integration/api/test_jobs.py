import threading
import uuid

import pytest
from sqlalchemy import text

from facetag.queue.celery_app import count_doorbells
from facetag.results.name_escapes import MAX_NAME
from tests.integration.api.conftest import serve

KEY = "tenants/local/images/aa/{number}.jpg"


def await_doorbells(harness, number):
    """The answer does not wait for Redis, so doorbells come a little later."""
    harness.wait_until(
        lambda: count_doorbells(harness.settings) == number, f"{number} doorbells rang"
    )


def images(number):
    return [{"key": KEY.format(number=i), "name": f"é {i}.jpg"} for i in range(number)]


def count_jobs(harness):
    with harness.transaction() as session:
        return session.execute(text("SELECT count(*) FROM jobs")).scalar_one()


def test_ten_thousand_keys_are_a_job_in_one_request(api, harness):
    answer = api.post("/v1/jobs", json={"images": images(10_000), "name": "many"})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["state"], job["total"], job["name"]) == ("queued", 10_000, "many")
    assert job["counts"]["queued"] == 10_000
    assert sum(job["counts"].values()) == 10_000
    rows = harness.rows(uuid.UUID(job["id"]))
    assert [row.name for row in rows] == [f"é {i}.jpg" for i in range(10_000)]
    assert {row.bucket for row in rows} == {harness.settings.s3_bucket}
    assert api.get(answer.headers["location"]).json() == job


def test_the_doorbell_rings_after_the_job_is_there(api, harness):
    api.post("/v1/jobs", json={"images": images(20)})
    # Two chunks of 16 at most.
    await_doorbells(harness, 2)


def test_one_key_may_have_two_names_and_a_name_may_occur_twice(api):
    twice = [{"key": KEY, "name": "a.jpg"}, {"key": KEY, "name": "b.jpg"}]
    answer = api.post("/v1/jobs", json={"images": [*twice, *twice]})
    assert answer.json()["total"] == 4


def test_a_name_may_be_as_long_as_a_path(api):
    path = "a/" * (MAX_NAME // 2)
    created = api.post("/v1/jobs", json={"images": [{"key": KEY, "name": path}]})
    (line,) = api.get(f"/v1/jobs/{created.json()['id']}/images").json()["images"]
    assert line["image"] == path
    images = [{"key": KEY, "name": f"{path}a"}]
    assert api.post("/v1/jobs", json={"images": images}).status_code == 422


def test_an_image_without_a_name_is_called_by_its_key(api):
    job = api.post("/v1/jobs", json={"images": [{"key": KEY}]}).json()
    (line,) = api.get(f"/v1/jobs/{job['id']}/images").json()["images"]
    assert line["image"] == KEY


def test_photos_in_a_source_bucket_are_taken_where_they_lie(api, harness):
    job = api.post("/v1/jobs", json={"images": [{"key": "s3://museum/1920s/a b.jpg"}]}).json()
    (row,) = harness.rows(uuid.UUID(job["id"]))
    assert (row.bucket, row.key) == ("museum", "1920s/a b.jpg")


def test_a_prefix_is_a_job_whose_total_is_not_known_yet(api, harness):
    answer = api.post("/v1/jobs", json={"prefix": "s3://museum/1920s/"})
    assert answer.status_code == 202
    job = answer.json()
    assert (job["state"], job["total"]) == ("listing", None)
    await_doorbells(harness, 1)


def test_a_replay_gives_the_first_answer_again(api, harness):
    body, headers = {"images": images(3), "name": "x"}, {"Idempotency-Key": "k1"}
    first = api.post("/v1/jobs", json=body, headers=headers)
    harness.change_images("state = 'running'", uuid.UUID(first.json()["id"]), "position = 0")
    with harness.transaction() as session:
        session.execute(text("UPDATE jobs SET state = 'running', queued = 2, running = 1"))
    again = api.post("/v1/jobs", json=body, headers=headers)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert count_jobs(harness) == 1


def test_a_replay_may_write_its_json_in_another_way(api, harness):
    headers = {"Idempotency-Key": "k1", "Content-Type": "application/json"}
    for body in ('{"images": [{"key": "%s"}]}', '{"name":null,"images":[{"name":"","key":"%s"}]}'):
        answer = api.post("/v1/jobs", content=body % KEY, headers=headers)
        assert answer.status_code == 202
    assert count_jobs(harness) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"images": images(4), "name": "x"},
        {"images": images(3), "name": "y"},
        {"images": list(reversed(images(3))), "name": "x"},
        {"prefix": "s3://museum/", "name": "x"},
    ],
)
def test_an_idempotency_key_with_another_body_is_refused(api, harness, other):
    headers = {"Idempotency-Key": "k1"}
    api.post("/v1/jobs", json={"images": images(3), "name": "x"}, headers=headers)
    answer = api.post("/v1/jobs", json=other, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:facetag:problem:idempotency-conflict"
    assert count_jobs(harness) == 1


def test_two_that_race_with_one_idempotency_key_make_one_job(api, harness):
    answers = []

    def post():
        answers.append(
            api.post("/v1/jobs", json={"images": images(500)}, headers={"Idempotency-Key": "r"})
        )

    threads = [threading.Thread(target=post) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert count_jobs(harness) == 1


def test_a_job_is_accepted_while_redis_is_down(settings, harness):
    from pydantic import SecretStr

    without = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:9/0")})
    with serve(without, harness.make_key()) as api:
        assert api.post("/v1/jobs", json={"images": images(3)}).status_code == 202
        ready = api.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["parts"]["database"] == "ok"
        assert ready.json()["parts"]["storage"] == "ok"
        assert "FACETAG_REDIS_URL" in ready.json()["parts"]["queue"]
    assert count_jobs(harness) == 1


def test_jobs_are_listed_page_by_page_the_newest_first(api):
    made = [api.post("/v1/jobs", json={"images": images(1)}).json()["id"] for _ in range(5)]
    seen, cursor = [], None
    for _ in range(3):
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = api.get("/v1/jobs", params=params).json()
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
    assert seen == made[::-1]
    assert cursor is None


def test_a_cancelled_job_is_cancelled_once_and_for_all(api):
    job = api.post("/v1/jobs", json={"images": images(3)}).json()
    for _ in range(2):
        answer = api.post(f"/v1/jobs/{job['id']}/cancel")
        assert answer.status_code == 200
        assert answer.json()["state"] == "cancelled"
        assert answer.json()["counts"]["cancelled"] == 3


def test_what_failed_is_tried_again(api, harness):
    job = api.post("/v1/jobs", json={"images": images(3)}).json()
    path = f"/v1/jobs/{job['id']}/retry"
    early = api.post(path, json={"only": "failed"})
    assert early.status_code == 409
    assert early.headers["content-type"] == "application/problem+json"
    harness.change_images("state = 'failed', error_code = 'truncated'", uuid.UUID(job["id"]))
    with harness.transaction() as session:
        session.execute(
            text("UPDATE jobs SET state = 'failed', queued = 0, failed = 3, finished_at = now()")
        )
    await_doorbells(harness, 1)
    answer = api.post(path)
    assert answer.status_code == 202
    assert answer.json()["state"] == "running"
    assert answer.json()["counts"] | {"queued": 3, "failed": 0} == answer.json()["counts"]
    await_doorbells(harness, 2)


def test_deleting_a_job_deletes_the_photos_that_no_other_job_needs(api, harness):
    own, shared = harness.put(b"1", b"2")
    first = api.post("/v1/jobs", json={"images": [{"key": own}, {"key": shared}]}).json()
    api.post("/v1/jobs", json={"images": [{"key": shared}]})
    path = f"/v1/jobs/{first['id']}"
    assert api.delete(path).status_code == 409
    api.post(f"{path}/cancel")
    answer = api.delete(path)
    assert answer.status_code == 202
    harness.wait_until(lambda: not harness.storage.exists(own), "the object is deleted")
    assert harness.storage.exists(shared)
    (deleted, erased) = reversed(api.get("/v1/audit-log").json()["lines"])
    assert (deleted["action"], erased["action"]) == ("job deleted", "objects erased")
    assert deleted["subject"] == erased["subject"] == first["id"]
    assert api.get(path).status_code == 404
    assert api.delete(path).status_code == 404


def test_the_backlog_is_among_the_metrics(api):
    api.post("/v1/jobs", json={"images": images(7)})
    text_ = api.get("/metrics").text
    assert 'facetag_open_job_images{state="queued"} 7.0' in text_
    assert 'facetag_open_jobs{state="queued"} 1.0' in text_
    assert "facetag_database_up 1.0" in text_


def test_bundles_are_shown_with_their_manifests(api, harness):
    from facetag.bundles.registry import register_model

    assert api.get("/v1/models").json() == {"models": []}
    with harness.transaction() as session:
        manifest = {"version": "v1", "backbone": "tiny", "held_out_answers": {"answers": {}}}
        register_model(session, "local", manifest)
    (bundle,) = api.get("/v1/models").json()["models"]
    assert (bundle["version"], bundle["state"]) == ("v1", "champion")
    assert bundle["manifest"] == {"version": "v1", "backbone": "tiny"}
    assert api.get("/v1/models/v1").json() == bundle | {"manifest": manifest}
    assert api.get("/v1/models/v2").status_code == 404


def test_a_bundle_that_was_compared_is_shown_with_its_verdict(api, harness):
    from facetag.bundles.registry import add_bundle, register_model

    verdict = {"holds": False, "against": "v1", "reasons": ["age RMSE: fails", "gender: holds"]}
    with harness.transaction() as session:
        register_model(session, "local", {"version": "v1"})
        manifest = {"version": "v2", "weights_sha256": "aa"}
        add_bundle(session, manifest, {}, tenant_id="local", verdict=verdict)
    found = {one["version"]: one for one in api.get("/v1/models").json()["models"]}
    assert found["v2"]["verdict"] == verdict | {"for": None, "table": []}
    assert (found["v1"]["verdict"], found["v2"]["promoted_at"]) == (None, None)


def test_a_finished_job_is_labelled_again_as_a_job_of_its_own(api, harness):
    job = api.post("/v1/jobs", json={"images": images(20), "name": "album"}).json()
    path = f"/v1/jobs/{job['id']}/retag"
    assert api.post(path).status_code == 409
    harness.change_images("state = 'no_face'", uuid.UUID(job["id"]))
    with harness.transaction() as session:
        session.execute(
            text(
                "UPDATE jobs SET state = 'completed', queued = 0, no_face = 20, finished_at = now()"
            )
        )
    await_doorbells(harness, 2)
    answer = api.post(path)
    assert answer.status_code == 202
    new = answer.json()
    assert new["id"] != job["id"]
    assert answer.headers["location"] == f"/v1/jobs/{new['id']}"
    assert (new["state"], new["total"], new["name"]) == ("queued", 20, "album")
    await_doorbells(harness, 4)
    old_rows, new_rows = (harness.rows(uuid.UUID(one["id"])) for one in (job, new))
    assert [(r.position, r.bucket, r.key, r.name) for r in new_rows] == [
        (r.position, r.bucket, r.key, r.name) for r in old_rows
    ]
    assert {row.state for row in new_rows} == {"queued"}
    # The old results stay, and the counts of both add up.
    assert harness.job(uuid.UUID(job["id"])).no_face == 20
    assert harness.job(uuid.UUID(new["id"])).queued == 20


def test_what_does_not_exist_is_not_labelled_again(api):
    assert api.post(f"/v1/jobs/{uuid.uuid4()}/retag").status_code == 404
