"""Measure how fast the API answers about large jobs, on real local servers.

    python -m benchmarks.api_latency
    python -m benchmarks.api_latency --images 100000 --seconds 20 --plot build/api-latency.png

The program times jobs of many keys. Then it times the statements of workers and of the sweeper at
the start, middle and end of a job of a million images. In the middle, locust requests the job's
status at a constant rate (latency counts from the time at which a request is due), and pages and
all results are read. At the end the job is cancelled and deleted.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import httpx

from benchmarks.harness.constant_rate import Latencies, ask_at_rate
from benchmarks.harness.large_job import LargeJob
from benchmarks.harness.local_api import LocalApi, create_job, make_images, resident_mb, serve_api
from benchmarks.harness.machine import describe_machine, in_words
from facetag.db.engine import make_engine, make_sessions
from facetag.log import configure_logging
from facetag.queue.celery_app import make_celery
from facetag.storage.client import make_storage
from facetag_worker.sweeper import Sweeper

JOBS = {10_000: 5, 100_000: 3}
"""How many jobs are made, by the number of keys per job."""
WARM_UP = 100


@click.command(help=__doc__)
@click.option("--images", default=1_000_000, show_default=True, help="Images of the large job.")
@click.option("--rate", default=50.0, show_default=True, help="Requests per second.")
@click.option("--seconds", default=60.0, show_default=True, help="How long requests are sent.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table",
              show_default=True, help="Output format.")  # fmt: skip
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the latencies into this file.")
def main(images: int, rate: float, seconds: float, format_: str, plot: Path | None) -> None:
    """Measure, print, draw."""
    configure_logging(level="error")
    report: dict[str, Any] = {"machine": describe_machine(), "images": images, "rate": rate}
    with tempfile.TemporaryDirectory() as folder, serve_api(Path(folder)) as api:
        report["accepted_s"] = {str(keys): time_jobs(api, keys) for keys in JOBS}
        latencies = measure_large_job(api, report, images, rate, seconds)
    if plot:
        draw(latencies, rate, plot)
    if format_ == "json":
        click.echo(json.dumps(report, indent=2))
    else:
        print_report(report)


def time_jobs(api: LocalApi, keys: int) -> dict[str, float]:
    """Return the median and the longest time in seconds until a job of so many keys is accepted."""
    taken = []
    body = {"images": make_images(keys)}
    for _ in range(JOBS[keys]):
        began = time.perf_counter()
        job = create_job(api.client, body)
        taken.append(time.perf_counter() - began)
        api.client.post(f"/v1/jobs/{job}/cancel").raise_for_status()
    return {"median": round(statistics.median(taken), 2), "longest": round(max(taken), 2)}


def measure_large_job(
    api: LocalApi, report: dict[str, Any], images: int, rate: float, seconds: float
) -> Latencies:
    """Take a job from creation to deletion, and add the time of each part to the report."""
    engine = make_engine(api.settings)
    sessions = make_sessions(engine)
    sweeper = Sweeper(sessions, make_celery(api.settings), make_storage(api.settings), api.settings)
    while sweeper.sweep().closed:
        pass
    job = LargeJob(sessions, images)
    statements = report["statements_ms"] = {}
    for name, done in (("start", 0), ("middle", images // 2)):
        job.work_until(done)
        statements[name] = job.time_statements()
    path = f"/v1/jobs/{job.id}"
    for _ in range(WARM_UP):
        api.client.get(path).raise_for_status()
    latencies = ask_at_rate(api.url, path, key=api.key, rate=rate, seconds=seconds)
    report["status"] = latencies.summary()
    report["pages_ms"] = job.time_pages(lambda page: api.client.get(page).raise_for_status())
    report["results"] = read_results(api, path, images)
    job.work_until(images * 99 // 100)
    statements["end"] = job.time_statements()
    report["ended_s"] = end(api, path, sweeper)
    engine.dispose()
    return latencies


def read_results(api: LocalApi, path: str, images: int) -> dict[str, float]:
    """Read all results; return the seconds, and the API's memory before and at its peak."""
    before = most = resident_mb(api.pid)
    began, lines = time.perf_counter(), 0
    with api.client.stream("GET", f"{path}/results") as answer:
        for block in answer.iter_bytes(2**20):
            lines += block.count(b"\n")
            most = max(most, resident_mb(api.pid))
    assert lines == images, lines
    taken = time.perf_counter() - began
    return {"seconds": round(taken, 1), "mb_before": round(before), "mb_most": round(most)}


def end(api: LocalApi, path: str, sweeper: Sweeper) -> dict[str, float]:
    """Cancel the job, sweep until it is closed, and delete it; return the seconds of each step.

    The job is out of sight then. `benchmarks.fleet.job_deletion` measures how its rows go.
    """
    taken = {}
    for name, act in {
        "cancel": lambda: api.client.post(f"{path}/cancel").raise_for_status(),
        "sweep": lambda: sweep_until_done(api.client, path, sweeper),
        "delete": lambda: api.client.delete(path).raise_for_status(),
    }.items():
        began = time.perf_counter()
        act()
        taken[name] = round(time.perf_counter() - began, 1)
    return taken


def sweep_until_done(client: httpx.Client, path: str, sweeper: Sweeper) -> None:
    """Sweep until the job is finished."""
    while client.get(path).raise_for_status().json()["finished_at"] is None:
        sweeper.sweep()


def print_report(report: dict[str, Any]) -> None:
    """Print the report as tables."""
    click.echo(in_words(report["machine"]))
    for keys, taken in report["accepted_s"].items():
        click.echo(
            f"a job of {int(keys):,} keys is accepted in {taken['median']} s, "
            f"{taken['longest']} s at the longest"
        )
    click.echo(f"\na job of {report['images']:,} images")
    status = report["status"]
    click.echo(
        f"its status, {report['rate']:g} requests per second: "
        + ", ".join(f"{name.replace('_ms', '')} {value}" for name, value in status.items())
        + " (ms)"
    )
    results = report["results"]
    click.echo(
        f"all its results in {results['seconds']} s; the API holds {results['mb_before']} MB "
        f"before and {results['mb_most']} MB at its peak"
    )
    for name, taken in report["ended_s"].items():
        click.echo(f"{name}: {taken} s")
    click.echo("\npages, median ms")
    for name, taken in report["pages_ms"].items():
        click.echo(f"  {name:24} {taken:8.1f}")
    places = list(report["statements_ms"])
    click.echo("\nstatements, median ms    " + "".join(f"{place:>9}" for place in places))
    for name in report["statements_ms"]["start"]:
        row = "".join(f"{report['statements_ms'][place][name]:9.1f}" for place in places)
        click.echo(f"  {name:22}{row}")


def draw(latencies: Latencies, rate: float, file: Path) -> None:
    """Draw the latency of each request over the time it was due, and the percentiles."""
    import numpy as np

    from facetag_trainer.reports.figures import FIRST, SECOND, new_figure, strip

    figure = new_figure(9.0, 3.4)
    over_time, shares = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    over_time.plot(latencies.due_s, latencies.late_ms, ".", markersize=2, color=FIRST)
    over_time.set(yscale="log", xlabel=f"seconds, at {rate:g} requests per second",
                  ylabel="milliseconds until the answer")  # fmt: skip
    for axis in (over_time.yaxis.set_major_formatter, over_time.yaxis.set_minor_formatter):
        axis("{x:g}")
    share = np.linspace(0, 99.9, 400)
    shares.plot(share, np.percentile(latencies.late_ms, share), color=FIRST)
    shares.axvline(99, color=SECOND, linewidth=1)
    shares.set(xlabel="percentile")
    for axes in (over_time, shares):
        strip(axes)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)


if __name__ == "__main__":
    main()
