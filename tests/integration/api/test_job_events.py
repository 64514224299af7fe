"""A job's progress as it happens, and the way to its photos."""

import io
import json
import os
import signal
import time

import httpx
import pytest
from PIL import Image

from facetag.storage.object_keys import thumbnail_key
from tests.integration.worker.harness import png

pytestmark = pytest.mark.integration


def follow(api, job_id):
    """Yield the job of each event, with the seconds since the request, to the last one."""
    began = time.monotonic()
    with api.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                yield json.loads(line[6:]), time.monotonic() - began


def test_each_change_of_a_job_is_told_until_it_is_finished(api, harness, settings):
    job_id = harness.post(harness.put(png(), png()))
    events = follow(api, job_id)
    job, _ = next(events)
    assert (job["state"], job["counts"]["queued"]) == ("queued", 2)
    # The listener has connected, so that the next change is told and not found by looking.
    time.sleep(1)
    began = time.monotonic()
    api.post(f"/v1/jobs/{job_id}/cancel")
    job, _ = next(events)
    assert job["state"] == "cancelled"
    assert time.monotonic() - began < 3
    assert list(events) == []
    assert api.get(f"/v1/jobs/{harness.settings.tenant_id}/events").status_code == 404


def test_photos_and_thumbnails_are_read_from_object_storage_and_deleted_with_the_job(
    api, harness, worker
):
    (key,) = harness.put(png(900, 600))
    worker()
    job_id = harness.post([key], announced=True)
    harness.wait_until_closed(job_id)
    images = f"/v1/jobs/{job_id}/images"
    store = httpx.Client(trust_env=False)

    answer = api.get(f"{images}/0/thumbnail")
    assert (answer.status_code, answer.content) == (302, b"")
    small = store.get(answer.headers["location"])
    assert Image.open(io.BytesIO(small.content)).size == (450, 300)
    assert small.headers["content-type"] == "image/jpeg"
    photo = store.get(api.get(f"{images}/0/photo").headers["location"])
    assert photo.content == png(900, 600)
    assert api.get(f"{images}/1/photo").status_code == 404

    thumbnail = thumbnail_key("local", harness.settings.s3_bucket, key)
    assert harness.storage.exists(thumbnail)
    assert api.delete(f"/v1/jobs/{job_id}").status_code == 202
    # The API deletes the objects after its answer.
    harness.wait_until(
        lambda: not harness.storage.exists(thumbnail) and not harness.storage.exists(key),
        "the photo and its thumbnail are gone",
    )


def test_followers_do_not_hold_a_process_that_is_to_stop(harness, tmp_path):
    from tests.integration.worker.harness import free_port

    port = free_port()
    harness.log = tmp_path / "api.log"
    process = harness._start("-m", "facetag_cli.main", "api", "--port", str(port))
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers=harness.make_key(),
        trust_env=False,
        timeout=30,
    )

    def answers():
        try:
            return client.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    try:
        harness.wait_until(answers, "the API answers")
        events = follow(client, harness.post(harness.put(png())))
        next(events)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert list(events) == []
        process.wait(60)
        assert time.monotonic() - began < 8
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
