"""Measure how much memory the API holds after 1,000 requests of all kinds, on real servers.

    nice .venv/bin/python -m benchmarks.api_memory
    nice .venv/bin/python -m benchmarks.api_memory --python OTHER_VENV/bin/python

The second form runs the API in another environment, for example one with `.[api]` alone. The
program starts the local servers in a temporary folder and `facetag api` with them, sends the
requests, and prints the API's resident memory at the start, at the end and at its peak. It needs
Linux, because it reads /proc.
"""

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import httpx

from benchmarks.harness.local_api import create_job, make_images, peak_mb, resident_mb, serve_api

LIMIT_MB = 150
KEYS = 1000


@click.command()
@click.option("--requests", default=1000, show_default=True, help="Requests to send.")
@click.option(
    "--large-jobs",
    default=0,
    help="Also make this many jobs of 100,000 keys and read their results.",
)
@click.option(
    "--python", default=sys.executable, help="Python that runs the API; by default the current one."
)
def main(requests: int, large_jobs: int, python: str) -> None:
    """Measure the API's resident memory."""
    with tempfile.TemporaryDirectory() as folder, serve_api(Path(folder), python) as api:
        pid, client = api.pid, api.client
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
    """Send a mix of requests: uploads, jobs of 1,000 keys, states, pages, results."""
    keys = [f"tenants/local/images/aa/{hashlib.sha256(bytes([i % 256])).hexdigest()}.jpg"
            for i in range(KEYS)]  # fmt: skip
    body = {"images": [{"key": key, "name": f"holiday/{i}.jpg"} for i, key in enumerate(keys)]}
    job = create_job(client, body)
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
    """Make a job of many keys and read its results; return the seconds until it was accepted."""
    body = {"images": make_images(keys)}
    begun = time.perf_counter()
    job = create_job(client, body)
    elapsed_s = time.perf_counter() - begun
    with client.stream("GET", f"/v1/jobs/{job}/results") as answer:
        lines = sum(1 for _ in answer.iter_lines())
    assert lines == keys, lines
    return elapsed_s


def check(answer: httpx.Response) -> None:
    """Stop the measurement if a request failed: its figures would mean something else."""
    assert answer.is_success, answer.text


def files(number: int) -> list[dict[str, object]]:
    """Return files for an upload request that are not in object storage."""
    return [
        {
            "sha256": hashlib.sha256(str(i).encode()).hexdigest(),
            "size": 1000,
            "suffix": ".jpg",
            "content_type": "image/jpeg",
        }
        for i in range(number)
    ]


if __name__ == "__main__":
    main()
