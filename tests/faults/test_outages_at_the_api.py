"""What the API answers while a part of the service is away."""

import psutil
import pytest

from tests.faults.fault_harness import FaultHarness, with_lease
from tests.faults.trial import make_photos, store

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ACCEPTED_WITHIN_S = 3.0
"""The one clock in these tests: it is what users are promised."""


@pytest.fixture(scope="module")
def fault_harness(tmp_path_factory):
    with FaultHarness(tmp_path_factory.mktemp("fault_harness"), **with_lease(2.0)) as fault_harness:
        yield fault_harness


@pytest.fixture(scope="module")
def api(fault_harness):
    with fault_harness.serve_api(timeout_s=60) as client:
        yield client


@pytest.fixture
def body(fault_harness):
    import random

    keys = store(fault_harness, make_photos(4, random.Random(1)))
    return {"images": [{"key": key, "name": key} for key in keys]}


def state_of(api, job_id):
    return api.get(f"/v1/jobs/{job_id}").json()["state"]


@pytest.mark.parametrize("how", ["frozen", "gone"])
def test_a_job_is_accepted_without_redis_and_done_when_it_is_back(fault_harness, api, body, how):
    valkey = psutil.Process(fault_harness.valkey.child.pid)
    valkey.suspend() if how == "frozen" else fault_harness.end(fault_harness.valkey)
    answer = api.post("/v1/jobs", json=body, timeout=ACCEPTED_WITHIN_S)
    assert answer.status_code == 202
    ready = api.get("/readyz")
    assert ready.status_code == 503
    # A sweeper of another test may have been heard of just now.
    unwell = {part for part, said in ready.json()["parts"].items() if said != "ok"} - {"sweeper"}
    assert unwell == {"queue", "worker"}
    valkey.resume() if how == "frozen" else fault_harness.bring_back(fault_harness.valkey)
    fault_harness.start_sweeper()
    fault_harness.start_workers(1)
    fault_harness.wait(
        lambda: state_of(api, answer.json()["id"]) == "completed", "the job is done", 60
    )
    fault_harness.stop_workers()


def test_without_postgres_a_job_is_a_503_that_says_so(fault_harness, api, body):
    fault_harness.end(fault_harness.postgres)
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
    fault_harness.bring_back(fault_harness.postgres)
    assert api.post("/v1/jobs", json=body).status_code == 202
