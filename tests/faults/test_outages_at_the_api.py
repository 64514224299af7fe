"""What the API answers while a part of the service is away."""

import httpx
import psutil
import pytest

from tests.faults.fault_harness import Arena, with_lease
from tests.faults.trial import make_photos, store

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ACCEPTED_WITHIN_S = 3.0
"""The one clock in these tests: it is what users are promised."""


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    with Arena(tmp_path_factory.mktemp("arena"), **with_lease(2.0)) as arena:
        yield arena


@pytest.fixture(scope="module")
def api(arena):
    with httpx.Client(base_url=arena.start_api(), timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def body(arena):
    import random

    keys = store(arena, make_photos(4, random.Random(1)))
    return {"images": [{"key": key, "name": key} for key in keys]}


def state_of(api, job_id):
    return api.get(f"/v1/jobs/{job_id}").json()["state"]


@pytest.mark.parametrize("how", ["frozen", "gone"])
def test_a_job_is_accepted_without_redis_and_done_when_it_is_back(arena, api, body, how):
    valkey = psutil.Process(arena.valkey.child.pid)
    valkey.suspend() if how == "frozen" else arena.end(arena.valkey)
    answer = api.post("/v1/jobs", json=body, timeout=ACCEPTED_WITHIN_S)
    assert answer.status_code == 202
    ready = api.get("/readyz")
    assert ready.status_code == 503
    assert [part for part, said in ready.json()["parts"].items() if said != "ok"] == [
        "queue",
        "worker",
    ]
    valkey.resume() if how == "frozen" else arena.bring_back(arena.valkey)
    arena.start_sweeper()
    arena.start_workers(1)
    arena.wait(lambda: state_of(api, answer.json()["id"]) == "completed", "the job is done", 60)
    arena.stop_workers()


def test_without_postgres_a_job_is_a_503_that_says_so(arena, api, body):
    arena.end(arena.postgres)
    answer = api.post("/v1/jobs", json=body)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:facetag:problem:service-unavailable"
    assert answer.headers["retry-after"]
    ready = api.get("/readyz")
    assert ready.status_code == 503
    parts = ready.json()["parts"]
    assert parts["database"] != "ok"
    assert (parts["queue"], parts["storage"]) == ("ok", "ok")
    arena.bring_back(arena.postgres)
    assert api.post("/v1/jobs", json=body).status_code == 202
