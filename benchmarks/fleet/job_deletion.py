"""Measure what the deletion of a large job costs, and whether partitions by job would pay.

    python -m benchmarks.fleet.job_deletion --images 200000 --others 800000

A finished job is deleted from tables that hold others, while one claimer goes on. The program
prints the seconds until its owner has the answer, those until its last row is gone, those of VACUUM
and of claims, and the bytes of log. Then
it gives a copy of `images` a partition for each of 1,000 jobs, and times the statements that know
no job on both: they must look into every partition.
"""

import statistics
import tempfile
import threading
import time
import uuid
from pathlib import Path

import click
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.harness.large_job import CHUNK, LargeJob
from benchmarks.harness.machine import describe_machine, in_words
from facetag.db.engine import (
    allow_long_statements,
    make_engine,
    make_sessions,
    migrate,
    transaction,
)
from facetag.db.tables import Job
from facetag.erasure.deleted_jobs import erase_deleted_jobs
from facetag.erasure.purge import purge_job
from facetag.settings import Settings
from facetag.standalone.stack import LocalStack
from facetag_worker.claims import claim_images

REPEATS = 15

FINISH = text("UPDATE jobs SET finished_at = now(), state = 'completed' WHERE id = :job")
LOG = text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
QUESTIONS = {
    "expired leases": "SELECT id FROM {} WHERE state = 'running' AND lease_until < now()",
    "a known photo": "SELECT id FROM {} WHERE bucket = 'facetag' AND key = 'none'",
    "images by id": "SELECT id FROM {} WHERE id = ANY(ARRAY[1, 2, 3, 4]::bigint[])",
}
"""Statements of workers and sweeper that name no job."""


@click.command(help=__doc__)
@click.option("--images", default=200_000, show_default=True, help="Images of the deleted job.")
@click.option("--others", default=800_000, show_default=True, help="Images of another job.")
@click.option("--partitions", default=1_000, show_default=True, help="Jobs with a partition each.")
def main(images: int, others: int, partitions: int) -> None:
    """Measure and print."""
    click.echo(in_words(describe_machine()))
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalStack(Settings(data_dir=Path(folder))) as stack,
    ):
        settings = stack.connected_settings()
        migrate(settings.require("database_url"))
        engine = make_engine(settings)
        sessions = make_sessions(engine)
        doomed = LargeJob(sessions, images)
        doomed.work_until(images)
        kept = LargeJob(sessions, others)
        kept.work_until(others // 2)
        vacuum(sessions)
        measure_deletion(sessions, doomed, kept)
        measure_partitions(sessions, partitions)
        engine.dispose()


def measure_deletion(sessions: sessionmaker[Session], doomed: LargeJob, kept: LargeJob) -> None:
    """Delete a job while images of another one are claimed; print what it costs."""
    before = [time_claim(sessions, kept) for _ in range(REPEATS)]
    with transaction(sessions) as session:
        session.execute(FINISH, {"job": doomed.id})
        log = session.scalar(LOG)
    during: list[float] = []
    over = threading.Event()

    def claim_meanwhile() -> None:
        while not over.is_set():
            during.append(time_claim(sessions, kept))

    claimer = threading.Thread(target=claim_meanwhile)
    claimer.start()
    began = time.monotonic()
    with transaction(sessions) as session:
        purge_job(session, doomed.id, tenant_id="local", bucket="facetag", actor="benchmark")
    answered_s = time.monotonic() - began
    # The sweeper's rounds, without its pauses; a small job may be gone by now.
    while not erase_deleted_jobs(sessions, bucket="facetag") and is_there(sessions, doomed):
        pass
    took_s = time.monotonic() - began
    over.set()
    claimer.join()
    with transaction(sessions) as session:
        log = session.scalar(LOG) - log
    after = [time_claim(sessions, kept) for _ in range(REPEATS)]
    click.echo(
        f"{doomed.images:,} of {doomed.images + kept.images:,} images deleted: answered after "
        f"{answered_s:.2f} s, the last row gone after {took_s:.1f} s "
        f"({1e6 * took_s / doomed.images:.0f} us each), {log / doomed.images:.0f} bytes of log each"
    )
    for when, taken in (("before", before), ("during", during), ("after", after)):
        click.echo(
            f"  a claim of {CHUNK} {when}: median {1000 * statistics.median(taken):.1f} ms, "
            f"longest {1000 * max(taken):.1f}"
        )
    click.echo(f"  VACUUM afterwards: {vacuum(sessions):.1f} s, and nobody waits for it")


def is_there(sessions: sessionmaker[Session], job: LargeJob) -> bool:
    """Return whether a row of the job is left."""
    with transaction(sessions) as session:
        return session.get(Job, job.id) is not None


def time_claim(sessions: sessionmaker[Session], job: LargeJob) -> float:
    """Return the seconds that one claim takes."""
    began = time.perf_counter()
    with transaction(sessions) as session:
        claim_images(session, job_id=job.id, limit=CHUNK, lease_s=600.0, worker="benchmark")
    return time.perf_counter() - began


def vacuum(sessions: sessionmaker[Session]) -> float:
    """Return the seconds that VACUUM takes for the two large tables."""
    engine = sessions.kw["bind"]
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        began = time.monotonic()
        for table in ("images", "faces"):
            connection.execute(text(f"VACUUM ANALYZE {table}"))
        took_s = time.monotonic() - began
        connection.execute(text("RESET statement_timeout"))
    return took_s


def measure_partitions(sessions: sessionmaker[Session], partitions: int) -> None:
    """Time statements that name no job on `images`, and on empty partitions by job."""
    with transaction(sessions) as session:
        allow_long_statements(session)
        session.execute(
            text(
                "CREATE TABLE parted (LIKE images) PARTITION BY LIST (job_id);"
                "CREATE INDEX ON parted (id); CREATE INDEX ON parted (bucket, key);"
                "CREATE INDEX ON parted (lease_until) WHERE state = 'running'"
            )
        )
        for number in range(partitions):
            job = uuid.UUID(int=number)
            session.execute(
                text(f"CREATE TABLE parted_{number} PARTITION OF parted FOR VALUES IN ('{job}')")
            )
    for name, question in QUESTIONS.items():
        whole, parted = (time_question(sessions, question.format(t)) for t in ("images", "parted"))
        click.echo(f"  {name}: {whole:.2f} ms; with {partitions:,} partitions {parted:.2f}")


def time_question(sessions: sessionmaker[Session], question: str) -> float:
    """Return the median milliseconds of a statement."""
    taken = []
    for _ in range(REPEATS):
        with transaction(sessions) as session:
            began = time.perf_counter()
            session.execute(text(question)).all()
            taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


if __name__ == "__main__":
    main()
