"""A job leaves its trail in the logs of all programs, and programs show up in the API's metrics."""

import json
import re
import socket

import httpx
import pytest

from facetag.standalone.announcements import answers
from facetag_worker.fakes import FAKE_VERSION
from tests.integration.worker.fake_worker import DEADLY_SIZE
from tests.integration.worker.harness import free_port, png

pytestmark = pytest.mark.integration


@pytest.fixture
def api(harness, start):
    port = free_port()
    process = harness.start_api(port)
    url = f"http://127.0.0.1:{port}"
    harness.wait_until(lambda: answers(url), "the API answers")
    with httpx.Client(base_url=url, headers=harness.make_key(), trust_env=False) as client:
        yield client
    process.terminate()
    process.wait(60)


def series(client):
    """The values of the programs' series by the series' name without labels, program and label."""
    host, found = socket.gethostname(), {}
    for line in client.get("/metrics", timeout=30).text.splitlines():
        if named := re.match(rf'(\w+){{(.*)program="(\w+)@{host}[^"]*"(.*)}} (\S+)', line):
            name, before, program, after, value = named.groups()
            label = "".join(re.findall(r'"(.+)"', before + after))
            found[name, program, label] = max(float(value), found.get((name, program, label), 0))
    return found


@pytest.mark.timeout(240)
def test_photos_are_followed_from_the_request_to_their_end_and_programs_report(harness, start, api):
    start("sweeper")
    start("worker", "--photo-s=0.1")
    height, width = DEADLY_SIZE
    keys = harness.put(png(width, height), png(color="#ffff00"))
    wanted = {"images": [{"key": key} for key in keys]}
    posted = api.post("/v1/jobs", json=wanted, headers={"X-Request-ID": "mine"})
    assert posted.status_code == 202, posted.text
    job_id = posted.json()["id"]
    harness.wait_until(lambda: harness.job(job_id).finished_at is not None, "it ends", 120)
    deadly, good = (row.id for row in harness.rows(job_id))
    check_trail(harness.log.read_text(), job_id[:8], deadly=deadly, good=good)

    photos = harness.put(*(png(color=f"#ffff{n:02x}") for n in range(8)))
    harness.wait_until_closed(harness.post(photos, announced=True))
    # The two chunks of this job, by the worker that replaced those that died.
    batches = ("facetag_labelled_batches_total", "worker", "")
    harness.wait_until(lambda: series(api).get(batches, 0) >= 2, "the worker reports")
    check_reports(series(api))


def check_trail(log, job, *, deadly, good):
    lines = [json.loads(line) for line in log.splitlines()]
    assert all({"timestamp", "logger", "level", "event"} <= line.keys() for line in lines)
    trail = [line for line in lines if line.get("job_id") == job]
    (created,) = [line for line in trail if line["event"] == "job_created"]
    assert (created["request_id"], created["images"]) == ("mine", 2)
    finished = [line["ids"] for line in trail if line["event"] == "chunk_finished"]
    assert finished == [[good]]
    expired = [
        image for line in trail if line["event"] == "leases_expired" for image in line["ids"]
    ]
    assert deadly in expired


def check_reports(found):
    for program in ("worker", "sweeper"):
        assert found["facetag_program_memory_bytes", program, ""] > 10**7
        assert found["facetag_program_free_disk_bytes", program, ""] > 10**6
    assert found["facetag_labelled_photos_total", "worker", ""] >= 8
    assert ("facetag_labelled_photos_total", "sweeper", "") not in found
    assert found["facetag_bundle_in_use", "worker", FAKE_VERSION] == 1
    stages = {key[2]: value for key, value in found.items() if "stage_seconds" in key[0]}
    assert stages.keys() >= {"fetch", "decode", "detect", "predict", "record"}
    # The fake labeller sleeps 0.1 s per photo.
    assert 0.7 < stages["detect"] + stages["predict"] < 5
