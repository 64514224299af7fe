"""What any file of a data folder holds of a job that was deleted, once the horizon has passed."""

import base64
import hashlib
import io
import os
import signal
import uuid
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from facetag.db.engine import migrate
from facetag.db.notifications import JOB_CHANGED
from facetag.settings import Settings
from facetag.standalone.servers.seaweedfs import CHANGE_LOG, SeaweedFS
from facetag.standalone.stack import LocalStack
from tests.integration.worker.harness import Harness, free_port

pytestmark = pytest.mark.integration

NAME = "zebra on the beach at Whitby.png"
REVIEWER = "Mechthild of the archive"
PURPOSE = "the wedding of the year 1899"
AUDIT = "the job's id"
"""What alone may be found: the audit log names the job."""


def traces_of(job_id: str, photo: bytes) -> dict[str, bytes]:
    """Return what to look for, by what it is."""
    sha = hashlib.sha256(photo).hexdigest()
    middle = len(photo) // 2
    return {
        "the photo's bytes": photo[middle : middle + 64],
        "its hash": sha.encode(),
        "its hash in bytes": bytes.fromhex(sha),
        "its hash in letters": base64.b64encode(bytes.fromhex(sha)),
        "its MD5": hashlib.md5(photo, usedforsecurity=False).digest(),
        "its name": NAME.encode(),
        "the job's purpose": PURPOSE.encode(),
        "the reviewer": REVIEWER.encode(),
        AUDIT: job_id.encode(),
        "the job's id in bytes": uuid.UUID(job_id).bytes,
    }


def search(folder: Path, traces: dict[str, bytes]) -> dict[str, list[str]]:
    """Return the files in which each trace is found."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            for what, trace in traces.items():
                if trace in content:
                    found.setdefault(what, []).append(path.relative_to(folder).as_posix())
    return found


def noise(seed: int) -> bytes:
    """Return a photo of bright noise, in which the fake labeller finds a face."""
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(128, 255, (96, 128, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def label(harness: Harness, api: httpx.Client, photo: bytes) -> str:
    """Send, label, review and read a photo; return its job."""
    sha = hashlib.sha256(photo).hexdigest()
    file = {"sha256": sha, "size": len(photo), "content_type": "image/png"}
    (upload,) = api.post("/v1/uploads", json={"files": [file]}).json()["uploads"]
    form = upload["post"]
    assert httpx.post(form["url"], data=form["fields"], files={"file": photo}).status_code < 300
    body = {"images": [{"key": upload["key"], "name": NAME}], "name": NAME, "purpose": PURPOSE}
    job_id: str = api.post("/v1/jobs", json=body).json()["id"]
    harness.wait_until_closed(uuid.UUID(job_id))
    said = {"position": 0, "face": 0, "verdict": "accepted", "reviewer": REVIEWER}
    assert api.post(f"/v1/jobs/{job_id}/reviews", json=said).status_code == 201
    assert NAME in api.get(f"/v1/jobs/{job_id}/results").text
    with harness.transaction() as session:
        # As autovacuum does: the planner's samples hold names.
        session.execute(text("ANALYZE"))
    return job_id


def log_changes(storage: SeaweedFS, traces: dict[str, bytes]) -> None:
    """Write into SeaweedFS's log of changes what it writes there itself after a minute."""
    path = f"{CHANGE_LOG}/2026-01-01/00-00.1"
    assert storage.ask_filer("PUT", path, b"".join(traces.values())) is not None


def keep_open(harness: Harness) -> uuid.UUID:
    """Make a job that has not ended at the end of the test either."""
    job_id = harness.post(["tenants/local/images/later.png"])
    harness.change_images("not_before = now() + interval '1 day'", job_id)
    return job_id


def notify(harness: Harness, job_id: str) -> None:
    """Tell of a job's changes as often as those of a large one are told."""
    query = "SELECT pg_notify(:channel, :id || number) FROM generate_series(1, 3000) AS number"
    with harness.transaction() as session:
        session.execute(text(query), {"channel": JOB_CHANGED, "id": job_id})


def age_audit_lines(harness: Harness) -> None:
    """Let half an hour pass, after which nothing waits for open jobs."""
    with harness.transaction() as session:
        session.execute(text("UPDATE audit_lines SET created_at = now() - interval '31 minutes'"))


def is_up(api: httpx.Client) -> bool:
    try:
        return api.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def rewritten(harness: Harness) -> bool:
    query = "SELECT EXISTS (SELECT FROM program_rounds WHERE name = 'rewriting')"
    with harness.transaction() as session:
        return bool(session.scalar(text(query)))


def test_after_the_horizon_no_file_holds_a_deleted_job_although_another_one_is_open(tmp_path):
    data, port, photo = tmp_path / "data", free_port(), noise(1)
    with ExitStack() as cleanup:
        stack = cleanup.enter_context(LocalStack(Settings(data_dir=data)))
        settings = stack.connected_settings().model_copy(update={"sweep_interval_s": 0.5})
        migrate(settings.require("database_url"))
        harness = Harness(settings, log=stack.folders.logs / "all.log")
        cleanup.callback(harness.sessions.kw["bind"].dispose)
        harness.storage.ensure_bucket()
        for process in (harness.start_worker(), harness.start_sweeper(), harness.start_api(port)):
            cleanup.callback(process.wait, 30)
            cleanup.callback(os.killpg, process.pid, signal.SIGTERM)
        url = f"http://127.0.0.1:{port}"
        api = cleanup.enter_context(
            httpx.Client(base_url=url, headers=harness.make_key(), timeout=30)
        )
        harness.wait_until(lambda: is_up(api), "the API answers")
        job_id = label(harness, api, photo)
        traces = traces_of(job_id, photo)
        (storage,) = [server for server in stack.servers if isinstance(server, SeaweedFS)]
        log_changes(storage, traces)
        notify(harness, job_id)
        open_job = keep_open(harness)
        found = search(data, traces)
        assert set(found) == set(traces)
        assert any("pg_notify" in file for file in found[AUDIT])
        assert api.delete(f"/v1/jobs/{job_id}").status_code == 202
        age_audit_lines(harness)
        harness.wait_until(lambda: rewritten(harness), "the tables are written anew")
        assert harness.job(open_job).queued == 1
        lines = api.get("/v1/audit-log").json()["lines"]
        assert {line["subject"] for line in lines} == {job_id}
    found = search(data, traces)
    (audit_lines,) = found.pop(AUDIT)
    assert audit_lines.startswith("postgresql/base/")
    assert found == {}
