"""Measure a fleet of workers that label by sleeping: its start, its fairness, and what SQL costs.

    python -m benchmarks.fleet
    python -m benchmarks.fleet --workers 40

First, so many worker processes wait for a job. The program prints the seconds from the job to the
moment when each has an image, then adds a second job and prints how the workers are divided.

Then few processes claim and finish images without labelling, at 1,000 and at 10,000 photos a
second or as many as this machine can, all of one job. The program prints what each photo costs
PostgreSQL, and how often a claimer waited for a lock: the job's row must be no ceiling.

The workers share the cores of this machine with all servers, where a fleet has its own: so they
keep no thumbnails, which cost more than the claims that are measured.
"""

import tempfile
import time
import uuid
from pathlib import Path

import click
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.fleet.claim_load import measure_claims
from benchmarks.fleet.simulated_workers import run_fleet
from benchmarks.harness.machine import describe_machine, in_words
from facetag.db.engine import make_engine, make_sessions, migrate, transaction
from facetag.jobs import NewImage, create_job
from facetag.queue.celery_app import make_celery, ring
from facetag.settings import Settings
from facetag.standalone.servers.postgres import Postgres
from facetag.standalone.stack import LocalStack
from facetag.storage.client import make_storage

BUSY_S = 10.0
"""The longest time until every worker has an image."""
CONNECTIONS = 1000
PHOTO = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c63f80f00010101001bb6ee560000000049454e44ae426082"
)
"""A white PNG of one pixel."""
BUSY = text("""
    SELECT count(DISTINCT claimed_by) FROM images WHERE job_id = :job AND claimed_by IS NOT NULL
""")
SERVING = text("""
    SELECT job_id, count(DISTINCT claimed_by) FROM images WHERE state = 'running' GROUP BY job_id
""")


@click.command(help=__doc__)
@click.option("--workers", default=200, show_default=True, help="Simulated worker processes.")
@click.option("--photo-s", default=2.0, show_default=True, help="Seconds that a photo takes.")
@click.option("--seconds", default=60.0, show_default=True, help="Length of each measurement.")
def main(workers: int, photo_s: float, seconds: float) -> None:
    """Measure and print; exit with status 1 if workers stay idle for longer than BUSY_S."""
    Postgres.max_connections = CONNECTIONS
    click.echo(in_words(describe_machine()))
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalStack(Settings(data_dir=Path(folder))) as stack,
    ):
        settings = stack.connected_settings().model_copy(
            update={"drain_s": seconds / 3, "thumbnail_side": 0}
        )
        migrate(settings.require("database_url"))
        make_storage(settings).ensure_bucket()
        with run_fleet(settings, workers, photo_s=photo_s):
            busy_s = measure_start(settings, workers, photo_s=photo_s, seconds=seconds)
        for rate in (1_000, 10_000):
            click.echo(measure_claims(settings, rate=rate, seconds=seconds).in_words())
    if busy_s >= BUSY_S:
        raise click.ClickException(f"Not every worker was busy within {BUSY_S:g} s.")


def measure_start(settings: Settings, workers: int, *, photo_s: float, seconds: float) -> float:
    """Print the seconds until all work on one job, and how they divide among two; return the first.

    The second job comes when all work on the first, and has three drains' time to get its share.
    """
    sessions = make_sessions(make_engine(settings))
    key = f"tenants/local/images/{uuid.uuid4().hex}.png"
    make_storage(settings).put(key, PHOTO, "image/png")
    photos = int(workers * (2 * seconds + BUSY_S) / photo_s) + 32 * workers
    first = add_job(settings, sessions, key, photos)
    began = time.monotonic()
    busy = 0
    while busy < workers and time.monotonic() - began < 3 * BUSY_S:
        time.sleep(0.1)
        with transaction(sessions) as session:
            busy = session.scalar(BUSY, {"job": first}) or 0
    busy_s = time.monotonic() - began
    click.echo(f"{busy} of {workers} workers were busy {busy_s:.1f} s after the job was made")
    second = add_job(settings, sessions, key, photos)
    time.sleep(seconds)
    with transaction(sessions) as session:
        serving = {row[0]: row[1] for row in session.execute(SERVING)}
    shares = serving.get(first, 0), serving.get(second, 0)
    click.echo(f"{seconds:g} s after a second job: {shares[0]} workers at the first, {shares[1]}")
    return busy_s


def add_job(
    settings: Settings, sessions: sessionmaker[Session], key: str, photos: int
) -> uuid.UUID:
    """Make a job of the same photo so many times, and ring for it as the API does."""
    images = [NewImage(key, f"{number}.png", settings.s3_bucket) for number in range(photos)]
    with transaction(sessions) as session:
        job, _ = create_job(session, tenant_id="local", images=images)
    ring(make_celery(settings), job.id, images=photos, settings=settings)
    return job.id


if __name__ == "__main__":
    main()
