"""Readiness and metrics say what no longer works, before users find out."""

import socket
import time

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from facetag import disk_space
from facetag.db.engine import WORKER_APPLICATION, make_engine
from facetag.errors import QueueUnavailable
from facetag.queue.celery_app import ping_queue
from facetag_worker.sweeper import Sweeper
from tests.integration.api.conftest import serve
from tests.integration.worker.harness import png

pytestmark = pytest.mark.integration


def states(api):
    """What readiness says, and what the metrics say of the same parts."""
    ready = api.get("/readyz")
    parts = ready.json()["parts"]
    figures = api.get("/metrics").text
    for part, said in parts.items():
        assert f'facetag_part_up{{part="{part}"}} {float(said == "ok")}' in figures
    return ready.status_code, ready.json()["status"], parts


def change(harness, statement):
    with harness.transaction() as session:
        session.execute(text(statement))


def test_workers_that_hang_a_sweeper_that_is_silent_and_objects_that_stay_are_told(api, harness):
    status, overall, parts = states(api)
    assert (status, overall, parts["sweeper"]) == (200, "degraded", "none seen")
    sweeper = Sweeper(harness.sessions, harness.celery, harness.storage, harness.settings)
    sweeper.sweep()
    # A connection by the name of a worker's is a worker that is connected.
    worker = make_engine(harness.settings, pool_size=1, application=WORKER_APPLICATION)
    with worker.connect():
        assert states(api) == (200, "ok", dict.fromkeys(parts, "ok"))
        job_id = harness.post(harness.put(png()))
        assert states(api)[1] == "ok"
        change(harness, "UPDATE jobs SET created_at = now() - interval '2 minutes'")
        assert states(api)[2]["worker"].startswith("stalled")
        # One that is at work holds a lease.
        change(harness, "UPDATE images SET state = 'running', lease_until = now() + interval '1 m'")
        assert states(api)[1] == "ok"
        change(harness, "UPDATE program_rounds SET ended_at = now() - interval '5 minutes'")
        assert "silent for 3" in states(api)[2]["sweeper"]
        # The metrics have it from the same source.
        assert "facetag_sweeper_silent_seconds 3" in api.get("/metrics").text
        change(
            harness,
            "INSERT INTO tombstones (tenant_id, job_id, key, created_at)"
            f" VALUES ('local', '{job_id}', 'k', now() - interval '1 hour')",
        )
        assert "1 objects or jobs are to be deleted" in states(api)[2]["erasure"]
        assert states(api)[0] == 200
    worker.dispose()


def test_uploads_end_before_the_disk_is_full_and_the_disk_is_called_full(
    settings, harness, tmp_path, monkeypatch
):
    (tmp_path / "seaweedfs").mkdir()
    file = {"sha256": "0" * 64, "size": 1_000_000}
    with serve(settings.model_copy(update={"data_dir": tmp_path}), harness.make_key()) as api:
        assert api.post("/v1/uploads", json={"files": [file]}).status_code == 200
        # As if the disk had room for half of the file.
        left = disk_space.STORAGE_RESERVE + 500_000
        monkeypatch.setattr(disk_space, "free_space", lambda _folder: left)
        refused = api.post("/v1/uploads", json={"files": [file]})
        assert refused.status_code == 507
        assert refused.json()["type"] == "urn:facetag:problem:disk-full"
        assert "is full: object storage needs 211 MB" in refused.json()["detail"]
        assert states(api)[2]["disk"] == "ok"
        assert api.post("/v1/predict", files={"file": bytes(600_000)}).status_code == 507
        monkeypatch.setattr(disk_space, "free_space", lambda _folder: 1_000_000)
        status, overall, parts = states(api)
        assert (status, overall) == (503, "unavailable")
        assert "is full" in parts["disk"]


def test_messages_that_were_dropped_are_among_the_metrics(api):
    assert "facetag_dropped_messages 0.0" in api.get("/metrics").text


def test_metrics_wait_for_a_silent_queue_only_once(settings, harness):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        settings = settings.model_copy(update={"redis_url": SecretStr(url)})
        with serve(settings, harness.make_key()) as api:
            began = time.monotonic()
            with pytest.raises(QueueUnavailable):
                ping_queue(settings)
            once, began = time.monotonic() - began, time.monotonic()
            text_ = api.get("/metrics").text
            assert time.monotonic() - began < 3 * once
    assert 'facetag_part_up{part="queue"} 0.0' in text_
    assert "facetag_dropped_messages NaN" in text_


def test_what_waits_is_lost_or_fails_is_among_the_metrics(api, harness):
    def figure(name):
        (line,) = [x for x in api.get("/metrics").text.splitlines() if x.startswith(f"{name} ")]
        return float(line.split()[-1])

    assert figure("facetag_sweeper_silent_seconds") == float("inf")
    assert figure("facetag_waiting_seconds") == 0
    job_id = harness.post(harness.put(png()) * 4, announced=True)
    change(harness, "UPDATE jobs SET created_at = now() - interval '5 minutes'")
    assert 300 <= figure("facetag_waiting_seconds") < 400
    assert figure('facetag_doorbells{queue="tag"}') == 1
    lost = "state = 'running', lease_until = now() - interval '1 s'"
    harness.change_images(lost, job_id, "position = 0")
    assert figure("facetag_expired_leases") == 1
    harness.change_images("suspicion = 1", job_id, "position = 1")
    assert figure("facetag_suspects") == 1
    harness.change_images("state = 'failed', error_code = 'truncated'", job_id, "position = 2")
    assert figure('facetag_failed_images{code="truncated"}') == 1
    worker = make_engine(harness.settings, pool_size=1, application=WORKER_APPLICATION)
    with worker.connect() as connection:
        connection.execute(text("SELECT 1"))
        assert figure("facetag_worker_silent_seconds") < 60
        assert figure("facetag_worker_hosts") == 1
    worker.dispose()
