"""Claim and finish images of one job at a given rate, and read what that costs PostgreSQL."""

import multiprocessing
import time
from dataclasses import dataclass

import psutil
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.harness.large_job import CHUNK, LargeJob
from facetag.db.engine import make_engine, make_sessions, transaction
from facetag.db.tables import ImageState
from facetag.jobs.counts import apply_left_counts
from facetag.labelling.outcomes import Outcome
from facetag.results.image_lines import Face
from facetag.settings import Settings
from facetag_worker.claims import Claim, claim_images, finish_chunk, mark_started

CLAIMERS = 8
"""Processes that claim: enough to keep PostgreSQL busy, and to meet at the job's row."""
SAMPLE_S = 0.02

_FORK = multiprocessing.get_context("fork")
FACE = Face(
    (412, 230, 181, 222),
    0.998,
    {
        "age": 31.4,
        "age_range": [26, 37],
        "gender": {"label": "female", "probability": 0.97},
        "race": {"label": "asian", "probabilities": {"white": 0.05, "asian": 0.95}},
    },
)
STAGES_MS = {"fetch": 3.1, "decode": 12.2, "detect": 80.0, "crop": 1.0, "predict": 20.3}
WAITING = text("""
    SELECT count(*) FILTER (WHERE wait_event_type = 'Lock'), count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'claimer' AND state <> 'idle'
""")
TABLES = ("images", "faces", "jobs", "count_changes")


@dataclass(frozen=True, slots=True)
class ClaimCost:
    """State what a run of claims cost."""

    wanted: int
    """Photos a second that were asked for."""
    photos: int
    seconds: float
    server_s: float
    """Processor time of PostgreSQL."""
    claimers_s: float
    """Processor time of the claimers."""
    waits: float
    """Share of the claimers' statements that waited for a lock."""
    job_updates: int
    """Versions of the job's row that were written."""
    wal_bytes: int
    vacuum_s: dict[str, float]

    def in_words(self) -> str:
        """Return the figures as lines of text."""
        rate = self.photos / self.seconds
        vacuum = ", ".join(f"{table} {seconds:.2f}" for table, seconds in self.vacuum_s.items())
        return (
            f"{self.wanted:,} photos a second asked for: {rate:,.0f} claimed and finished, "
            f"{rate / CHUNK:,.0f} chunks of {CHUNK}\n"
            f"  PostgreSQL: {1e6 * self.server_s / self.photos:.0f} us of a core per photo "
            f"({self.server_s / self.seconds:.2f} cores), {self.wal_bytes / self.photos:.0f} bytes "
            f"of log per photo; 10,000 a second would take "
            f"{10_000 * self.server_s / self.photos:.1f} cores\n"
            f"  claimers: {1e6 * self.claimers_s / self.photos:.0f} us of a core per photo "
            f"({self.claimers_s / self.seconds:.2f} cores)\n"
            f"  {100 * self.waits:.1f}% of statements waited for a lock; the job's row was written "
            f"{self.job_updates / (2 * self.photos / CHUNK):.2f} times per claim and finish\n"
            f"  VACUUM afterwards, seconds: {vacuum}"
        )


def measure_claims(settings: Settings, *, rate: int, seconds: float) -> ClaimCost:
    """Claim and finish `rate` photos a second of one job, or as many as can be, for `seconds`."""
    engine = make_engine(settings)
    sessions = make_sessions(engine)
    job = LargeJob(sessions, int(rate * seconds))
    engine.dispose()
    finished = _FORK.Value("l", 0)
    spent_s = _FORK.Value("d", 0.0)
    go = _FORK.Event()
    claimers = [
        _FORK.Process(
            target=_claim, args=(settings, job.id, rate / CLAIMERS, seconds, go, finished, spent_s)
        )
        for _ in range(CLAIMERS)
    ]
    for claimer in claimers:
        claimer.start()
    time.sleep(2)
    before = _read(sessions)
    began = time.monotonic()
    go.set()
    waiting = statements = 0
    while any(claimer.is_alive() for claimer in claimers):
        time.sleep(SAMPLE_S)
        with transaction(sessions) as session:
            waited, active = session.execute(WAITING).one()
        waiting += waited
        statements += active
    took_s = time.monotonic() - began
    after = _read(sessions)
    with transaction(sessions) as session:
        apply_left_counts(session, job.id)
    cost = ClaimCost(
        wanted=rate,
        photos=finished.value,
        seconds=took_s,
        server_s=after["server_s"] - before["server_s"],
        claimers_s=spent_s.value,
        waits=waiting / max(1, statements),
        job_updates=int(after["job_updates"] - before["job_updates"]),
        wal_bytes=int(after["wal"] - before["wal"]),
        vacuum_s={table: _vacuum(settings, table) for table in TABLES},
    )
    engine.dispose()
    return cost


def _claim(settings, job_id, rate, seconds, go, finished, spent_s) -> None:  # type: ignore[no-untyped-def]
    sessions = make_sessions(make_engine(settings, pool_size=1, application="claimer"))
    with transaction(sessions) as session:
        session.execute(text("SELECT 1"))
    go.wait()
    began, spent_before_s = time.monotonic(), time.process_time()
    done = 0
    while time.monotonic() - began < seconds:
        if done > rate * (time.monotonic() - began):
            time.sleep(0.005)
            continue
        with transaction(sessions) as session:
            claim = claim_images(
                session, job_id=job_id, limit=CHUNK, lease_s=60.0, worker=str(id(sessions))
            )
            if claim is None:
                break
            mark_started(session, claim, 60.0)
        with transaction(sessions) as session:
            finish_chunk(session, claim, _outcomes(claim), labelling_key=b"benchmark")
        done += len(claim.images)
    with finished.get_lock():
        finished.value += done
        spent_s.value += time.process_time() - spent_before_s


def _outcomes(claim: Claim) -> list[Outcome]:
    return [
        Outcome(
            image.id,
            ImageState.TAGGED,
            width=1600,
            height=1200,
            faces=(FACE,),
            stage_ms=STAGES_MS,
            model_version="benchmark",
        )
        for image in claim.images
    ]


def _read(sessions: "sessionmaker[Session]") -> dict[str, float]:
    """Return PostgreSQL's processor time, the place in its log, and updates of `jobs` so far."""
    with transaction(sessions) as session:
        session.execute(text("SELECT pg_stat_force_next_flush()"))
        server = psutil.Process(session.scalar(text("SELECT pg_backend_pid()"))).parent()
    assert server is not None
    spent = [times for one in (server, *server.children()) if (times := _times(one)) is not None]
    with transaction(sessions) as session:
        wal = session.scalar(text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))
        updates = session.scalar(
            text("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'jobs'")
        )
    return {"server_s": sum(spent), "wal": float(wal or 0), "job_updates": float(updates or 0)}


def _times(process: psutil.Process) -> float | None:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return None
    # Those of a backend that has ended are in its parent's.
    return float(times.user + times.system + times.children_user + times.children_system)


def _vacuum(settings: Settings, table: str) -> float:
    engine = make_engine(settings, pool_size=1)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        began = time.monotonic()
        connection.execute(text(f"VACUUM {table}"))
        took_s = time.monotonic() - began
    engine.dispose()
    return took_s
