"""Measure what a job costs whose photos are known, among a million images.

    python -m benchmarks.million_images
    python -m benchmarks.million_images --images 100000

The program labels a job of a million images as workers would, in SQL. Then it asks the API for jobs
of 10,000 keys: all known, all new, one in a hundred new, and one photo 10,000 times. It prints the
seconds from the request to the finished job, where all is known, else to the answer.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.harness.large_job import LargeJob, key_of
from benchmarks.harness.local_api import LocalApi, serve_api
from benchmarks.harness.machine import describe_machine, in_words
from facetag.bundles.labelling_key import current_key
from facetag.db.engine import make_engine, make_sessions, transaction
from facetag.jobs.reuse.identical_images import settle_twins
from facetag.log import configure_logging

REPEATS = 5
BOUND_S = 1.0


@click.command(help=__doc__)
@click.option("--images", default=1_000_000, show_default=True, help="Images of the known job.")
@click.option("--keys", default=10_000, show_default=True, help="Keys of each new job.")
def main(images: int, keys: int) -> None:
    """Measure and print; exit with status 1 if known photos take a second or more."""
    configure_logging(level="error")
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_api(Path(folder)) as api,
        open_sessions(api) as sessions,
    ):
        with transaction(sessions) as session:
            key = current_key(session, api.settings)
        if key is None:
            raise click.ClickException("This checkout holds no bundle in models/default.")
        LargeJob(sessions, images, key).work_until(images)
        # Every tenth image of a large job has failed, and is never known.
        known = [number for number in range(images) if number % 10][-keys:]
        fresh = iter(range(images, images + 10 * REPEATS * keys))
        click.echo(in_words(describe_machine()))
        click.echo(f"jobs of {keys:,} keys beside {images:,} images")
        done_s = time_jobs(api, "all known", [list(known) for _ in range(REPEATS)], reused=keys)
        time_jobs(api, "all new", [take(fresh, keys) for _ in range(REPEATS)], reused=0)
        mixed = [known[keys // 100 :] + take(fresh, keys // 100) for _ in range(REPEATS)]
        time_jobs(api, "one in a hundred new", mixed, reused=keys - keys // 100)
        time_twins(api, sessions, next(fresh), keys)
    if done_s >= BOUND_S:
        raise click.ClickException(f"Known photos take {done_s:.2f} s, not below {BOUND_S:g} s.")


@contextmanager
def open_sessions(api: LocalApi) -> Iterator[sessionmaker[Session]]:
    """Open the API's database."""
    engine = make_engine(api.settings)
    try:
        yield make_sessions(engine)
    finally:
        engine.dispose()


def take(numbers: Iterator[int], count: int) -> list[int]:
    """Return the next numbers."""
    return [next(numbers) for _ in range(count)]


def time_jobs(api: LocalApi, title: str, jobs: list[list[int]], *, reused: int) -> float:
    """Make a job per list of numbers; print and return the median seconds of an answer."""
    taken = []
    for numbers in jobs:
        body = {"images": [{"key": key_of(number), "name": str(number)} for number in numbers]}
        began = time.perf_counter()
        answer = api.client.post("/v1/jobs", json=body).raise_for_status().json()
        taken.append(time.perf_counter() - began)
        assert answer["reused"] == reused, answer
        assert (answer["finished_at"] is not None) == (reused == len(numbers)), answer
        if answer["finished_at"] is None:
            api.client.post(f"/v1/jobs/{answer['id']}/cancel").raise_for_status()
    median = statistics.median(taken)
    click.echo(f"  {title:24} {median:6.2f} s, {max(taken):.2f} s at the longest")
    return median


def time_twins(api: LocalApi, sessions: sessionmaker[Session], number: int, copies: int) -> None:
    """Time the end of one photo whose twins end with it."""
    body = {"images": [{"key": key_of(number)}] * copies}
    job_id = api.client.post("/v1/jobs", json=body).raise_for_status().json()["id"]
    first = text(
        "UPDATE images SET state = 'no_face', labelling_key = 'k' WHERE job_id = :job AND "
        "position = 0 RETURNING id"
    )
    with transaction(sessions) as session:
        ended = session.execute(first, {"job": job_id}).scalar_one()
        began = time.perf_counter()
        twins = settle_twins(session, job_id, [ended]).total()
        taken = time.perf_counter() - began
    click.echo(f"  {f'{twins:,} twins end':24} {taken:6.2f} s")


if __name__ == "__main__":
    main()
