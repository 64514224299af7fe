"""How much memory the API process holds after 1,000 requests of every kind, on real servers.

    nice .venv/bin/python -m benchmarks.api_memory
    nice .venv/bin/python -m benchmarks.api_memory --python OTHER_VENV/bin/python

The second form runs the API from another environment, such as one that holds `.[api]` alone.
Starts the local servers in a temporary folder and `facetag api` beside them, sends the requests
from this process, and prints the resident memory of the API at the start, at the end and at its
peak. Linux only (it reads /proc).
"""

import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
import httpx

from facetag.database import migrate
from facetag.local.stack import LocalStack
from facetag.settings import Settings
from facetag.storage import make_storage

LIMIT_MB = 150
KEYS = 1000
START_TIMEOUT_S = 60.0


@click.command()
@click.option("--requests", default=1000, show_default=True, help="Requests to send.")
@click.option("--large-jobs", default=0, help="Also jobs of 100,000 keys, read back.")
@click.option("--python", default=sys.executable, help="Python that runs the API; else this one.")
def main(requests: int, large_jobs: int, python: str) -> None:
    """Measure the API's resident memory."""
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder), python) as (pid, client):
        started_mb = resident_mb(pid)
        begun = time.perf_counter()
        send(client, requests)
        elapsed_s = time.perf_counter() - begun
        print(f"at the start            {started_mb:6.1f} MB")
        print(f"after {requests:6} requests   {resident_mb(pid):6.1f} MB  ({elapsed_s:.0f} s)")
        print(f"at its peak             {peak_mb(pid):6.1f} MB  (limit {LIMIT_MB} MB)")
        for keys, jobs in ((10_000, 5), (100_000, large_jobs)):
            seconds = sorted(send_large_job(client, keys) for _ in range(jobs))
            if seconds:
                held = f"{resident_mb(pid):.1f} MB, {peak_mb(pid):.1f} at the peak"
                print(f"after {jobs} jobs of {keys} keys: {held}")
                print(f"  accepted in {seconds[0]:.1f} to {seconds[-1]:.1f} s")


def send(client: httpx.Client, requests: int) -> None:
    """Send a mix: uploads, jobs of 1,000 keys, states, pages, results as JSON lines and CSV."""
    keys = [f"tenants/local/images/aa/{hashlib.sha256(bytes([i % 256])).hexdigest()}.jpg"
            for i in range(KEYS)]  # fmt: skip
    body = {"images": [{"key": key, "name": f"holiday/{i}.jpg"} for i, key in enumerate(keys)]}
    job = create(client, body)
    steps: list[Callable[[], None]] = [
        lambda: check(client.post("/v1/jobs", json=body)),
        lambda: check(client.get(f"/v1/jobs/{job}")),
        lambda: check(client.get(f"/v1/jobs/{job}/results")),
        lambda: check(client.post("/v1/uploads", json={"files": files(100)})),
        lambda: check(client.get(f"/v1/jobs/{job}/images", params={"limit": 1000})),
        lambda: check(client.get(f"/v1/jobs/{job}/results", params={"format": "csv"})),
        lambda: check(client.get("/v1/jobs")),
        lambda: check(client.get("/metrics")),
        lambda: check(client.get("/readyz")),
        lambda: check(client.get(f"/v1/jobs/{job}")),
    ]
    for number in range(requests - 1):
        steps[number % len(steps)]()


def send_large_job(client: httpx.Client, keys: int) -> float:
    """Make a job of many keys and read its results; return the seconds until it is accepted."""
    body = {
        "images": [
            {"key": f"tenants/local/images/aa/{i:064x}.jpg", "name": f"holiday/{i:06}.jpg"}
            for i in range(keys)
        ]
    }
    begun = time.perf_counter()
    job = create(client, body)
    elapsed_s = time.perf_counter() - begun
    with client.stream("GET", f"/v1/jobs/{job}/results") as answer:
        lines = sum(1 for _ in answer.iter_lines())
    assert lines == keys, lines
    return elapsed_s


def create(client: httpx.Client, body: Mapping[str, object]) -> str:
    """Make a job and return its id."""
    answer = client.post("/v1/jobs", json=body)
    check(answer)
    job_id: str = answer.json()["id"]
    return job_id


def check(answer: httpx.Response) -> None:
    """Stop the measurement where a request fails: it would measure something else."""
    assert answer.is_success, answer.text


def files(number: int) -> list[dict[str, object]]:
    """Return files for an upload request, none of which object storage has."""
    return [
        {
            "sha256": hashlib.sha256(str(i).encode()).hexdigest(),
            "size": 1000,
            "suffix": ".jpg",
            "content_type": "image/jpeg",
        }
        for i in range(number)
    ]


@contextmanager
def serve(folder: Path, python: str) -> Iterator[tuple[int, httpx.Client]]:
    """Run the servers and the API; yield its process id and a client of it."""
    with LocalStack(Settings(data_dir=folder)) as stack:
        settings = stack.connected_settings()
        migrate(settings.require("database_url"))
        make_storage(settings).ensure_bucket()
        port = free_port()
        process = subprocess.Popen(
            [python, "-m", "cli.main", "api", "--port", str(port), "--log-level", "error"],
            env=os.environ | stack.environment(),
        )
        try:
            url = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
                wait_until_ready(client, process)
                yield process.pid, client
        finally:
            process.terminate()
            process.wait()


def wait_until_ready(client: httpx.Client, process: "subprocess.Popen[bytes]") -> None:
    """Return once the API answers; raises RuntimeError where it does not start."""
    due = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < due and process.poll() is None:
        try:
            if client.get("/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError("The API did not start.")


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB of 2^20 bytes."""
    return _status_mb(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """Return the largest resident memory that a process ever had, in MB."""
    return _status_mb(pid, "VmHWM")


def _status_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/status has no {name}.")


if __name__ == "__main__":
    main()
