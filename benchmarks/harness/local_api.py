"""Run the API on real local servers for measurements, and read how much memory it holds."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.harness.measured_service import serve
from facetag.access.keys import Scope, create_key
from facetag.db.engine import make_engine, make_sessions, transaction
from facetag.settings import Settings
from facetag.standalone.servers.ports import LOOPBACK, find_free_ports

START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class LocalApi:
    """Hold a running API: its process, its URL, and the settings of its servers."""

    pid: int
    url: str
    key: str
    client: httpx.Client
    settings: Settings
    environment: Mapping[str, str]


@contextmanager
def serve_api(folder: Path, python: str = sys.executable) -> Iterator[LocalApi]:
    """Run the servers with their data below `folder`, and the API with this Python."""
    with serve(folder) as service:
        (port,) = find_free_ports(1)
        environment = os.environ | service.environment
        process = subprocess.Popen(
            [python, "-m", "facetag_cli.main", "api", "--port", str(port), "--log-level", "error"],
            env=environment,
        )
        try:
            url = f"http://{LOOPBACK}:{port}"
            key = make_key(service.settings)
            headers = {"Authorization": f"Bearer {key}"}
            with httpx.Client(
                base_url=url, headers=headers, timeout=600, trust_env=False
            ) as client:
                _wait_until_ready(client, process)
                yield LocalApi(process.pid, url, key, client, service.settings, environment)
        finally:
            process.terminate()
            process.wait()


def make_key(settings: Settings) -> str:
    """Return a new key of the service."""
    engine = make_engine(settings, pool_size=1)
    with transaction(make_sessions(engine)) as session:
        token = create_key(session, name="benchmark", tenant_id="local", scope=Scope.ADMIN)
    engine.dispose()
    return token.text


def make_images(number: int) -> list[dict[str, str]]:
    """Return images for a job, with keys and names as long as real ones."""
    return [
        {"key": f"tenants/local/images/aa/{i:064x}.jpg", "name": f"holiday/{i:06}.jpg"}
        for i in range(number)
    ]


def create_job(client: httpx.Client, body: Mapping[str, object]) -> str:
    """Make a job and return its id."""
    answer = client.post("/v1/jobs", json=body)
    assert answer.is_success, answer.text
    job_id: str = answer.json()["id"]
    return job_id


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB of 2^20 bytes."""
    return _status_mb(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """Return the peak of the resident memory of a process in MB."""
    return _status_mb(pid, "VmHWM")


def _wait_until_ready(client: httpx.Client, process: "subprocess.Popen[bytes]") -> None:
    due = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < due and process.poll() is None:
        try:
            if client.get("/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError("The API did not start.")


def _status_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/status has no {name}.")
