"""Repair what died processes left: expired leases, lost doorbells, jobs that stayed open."""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog
from celery import Celery
from sqlalchemy import TextClause, select, text
from sqlalchemy.orm import Session, sessionmaker

from facetag.db.engine import transaction
from facetag.db.presence import SWEEPER_LOCK, record_round
from facetag.db.program_reports import forget_reports, name_program, record_report
from facetag.db.tables import ImageState, Job, JobState
from facetag.erasure.deleted_jobs import ROUND_S, erase_deleted_jobs
from facetag.erasure.freed_rows import TableRewriting
from facetag.erasure.retention import OrphanWalk, expire_jobs, forget_counted, give_up_photos
from facetag.erasure.tombstones import work_off
from facetag.erasure.upload_promises import forget_promises
from facetag.errors import DatabaseBusy, DatabaseUnavailable, ErrorCode, QueueUnavailable
from facetag.jobs import close_job_if_done
from facetag.jobs.counts import apply_left_counts
from facetag.jobs.queries import HAS_CLAIMABLE
from facetag.jobs.reuse.identical_images import free_twins
from facetag.queue.celery_app import (
    QUEUE_RETRAIN,
    count_doorbells,
    ring,
    ring_estimate,
    ring_listing,
    ring_retraining,
)
from facetag.retraining.retraining_lease import find_unheard_retrainings, return_expired_retrainings
from facetag.reviews.share_estimates import find_unheard_estimates
from facetag.settings import Settings
from facetag.storage.client import Storage
from facetag_worker.claims import settle_images
from facetag_worker.lease_grace import LeaseGrace
from facetag_worker.stale_predictions import delete_abandoned
from facetag_worker.work_report import WorkReport

DEATHS = 3
"""After this many workers died of an image, it is not tried again."""
BATCH = 1000
STEPS_A_ROUND = 10
"""Batches of a cancelled job that are cancelled before other jobs are handled."""
LONGEST_PAUSE_S = 30.0
REWRITING_ROUND_S = 30.0
"""Time after which a round is recorded while large tables are written anew."""

JOB_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '1s'")
LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")

RETURN_EXPIRED = text("""
    WITH expired AS (
        SELECT id, started_at IS NOT NULL AS started,
            started_at IS NOT NULL AND suspicion + 1 >= :deaths AS deadly
        FROM images WHERE state = 'running' AND lease_until < now()
        ORDER BY id
        LIMIT :batch
        FOR UPDATE SKIP LOCKED
    )
    UPDATE images SET suspicion = suspicion + CASE WHEN started THEN 1 ELSE 0 END,
        state = CASE WHEN deadly THEN 'failed' ELSE 'queued' END,
        error_code = CASE WHEN deadly THEN :code END,
        error_message = CASE WHEN deadly THEN :message END,
        finished_at = CASE WHEN deadly THEN now() END,
        claim_token = NULL, lease_until = NULL, started_at = NULL
    FROM expired WHERE images.id = expired.id
    RETURNING images.job_id, images.id, images.state
""")

FIND_DONE = text("""
    SELECT id FROM jobs
    WHERE finished_at IS NULL
      AND (state IN ('queued', 'running') AND queued = 0 AND running = 0
           OR state = 'cancelled' AND running = 0)
""")

FIND_LEFT = text("SELECT DISTINCT job_id FROM count_changes")

# A twin is left alone if its first image ended while a cancel, later undone, held the twin's lock.
FIND_WAITING = text("""
    SELECT id FROM jobs
    WHERE finished_at IS NULL AND state IN ('queued', 'running') AND queued > 0 AND running = 0
      AND (SELECT true FROM images
           WHERE job_id = jobs.id AND state = 'queued' AND suspicion >= 0
           ORDER BY suspicion, position LIMIT 1) IS NULL
""")

FIND_UNHEARD = text(f"""
    WITH unheard AS (
        SELECT id FROM jobs
        WHERE finished_at IS NULL
          AND (coalesce(rung_at, created_at) < now() - make_interval(secs => :quiet_s)
               OR :none_waits AND started_at < now() - make_interval(secs => :quiet_s))
          AND (state = 'listing'
               OR state IN ('queued', 'running') AND queued > 0 AND {HAS_CLAIMABLE})
        ORDER BY priority DESC, created_at
        LIMIT :room
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE jobs SET rung_at = now() FROM unheard WHERE jobs.id = unheard.id
    RETURNING jobs.id, jobs.state, jobs.queued, jobs.priority
""")  # noqa: S608 - built from a constant

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """Count what one round did."""

    requeued: int = 0
    lost: int = 0
    """Images that failed as `worker_lost`."""
    closed: int = 0
    rung: int = 0
    """Jobs for which a doorbell was rung again, for their images or for an estimate."""
    forgotten: int = 0
    """Predictions of a killed API that were deleted."""
    expired: int = 0
    """Jobs that were deleted because their time was over."""
    uncounted: int = 0
    """Images of jobs that keep counts only, which were forgotten as their jobs had ended."""
    given_up: int = 0
    """Photos of ended jobs that do not keep them."""
    dropped: int = 0
    """Large deleted jobs whose last row is gone."""
    erased: int = 0
    """Objects that were deleted for good: of deleted jobs, and uploads that no job took."""
    retrainings: int = 0
    """Retrainings that a dead trainer worker lost, or for which a doorbell was rung again."""


class Sweeper:
    """Sweep in rounds; of several sweepers, only one works at a time."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        celery: Celery,
        storage: Storage,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = sessions
        self._celery = celery
        self._storage = storage
        self._settings = settings
        self._grace = LeaseGrace(settings.lease_s, clock=clock)
        self._orphans = OrphanWalk()
        self._rewriting = TableRewriting(settings.data_dir)
        self._name = name_program("sweeper")
        self._report = WorkReport(self._name, settings.data_dir)

    def run(self, *, wait: Callable[[float], bool]) -> None:
        """Sweep every `sweep_interval_s` until `wait(seconds)` returns True."""
        pause_s = interval_s = self._settings.sweep_interval_s
        while True:
            try:
                self.sweep()
                pause_s = interval_s
            except DatabaseUnavailable as error:
                pause_s = min(2 * pause_s, max(interval_s, LONGEST_PAUSE_S))
                # Workers could not extend their leases either, so they get time to do so.
                self._grace.begin(delay_s=pause_s)
                log.warning("sweep_put_off", reason=str(error), pause_s=pause_s)
            if wait(pause_s):
                return

    def sweep(self) -> Swept:
        """Sweep once; raises DatabaseUnavailable."""
        with transaction(self._sessions) as guard:
            if not guard.execute(LOCK, {"key": SWEEPER_LOCK}).scalar():
                self._record_round(stood_by=True)
                return Swept()
            requeued, lost = self._return_expired()
            self._free_twins()
            self._apply_left()
            forget_promises(self._sessions)
            swept = Swept(
                requeued,
                lost,
                self._close_done(),
                self._announce_unheard(),
                delete_abandoned(self._sessions, self._storage, self._settings),
                expire_jobs(self._sessions, self._settings, bucket=self._storage.bucket),
                forget_counted(self._sessions, bucket=self._storage.bucket),
                give_up_photos(self._sessions, bucket=self._storage.bucket),
                erase_deleted_jobs(self._sessions, bucket=self._storage.bucket),
                self._work_off() + self._orphans.step(self._sessions, self._storage),
                self._return_retrainings() + self._announce_retrainings(),
            )
        self._record_round()
        self._rewrite_tables()
        if swept != Swept():
            log.info(
                "swept",
                requeued=swept.requeued,
                lost=swept.lost,
                closed=swept.closed,
                rung=swept.rung,
                forgotten=swept.forgotten,
                expired=swept.expired,
                uncounted=swept.uncounted,
                given_up=swept.given_up,
                dropped=swept.dropped,
                erased=swept.erased,
                retrainings=swept.retrainings,
            )
        return swept

    def _rewrite_tables(self) -> None:
        """Write tables anew if that is due; whoever looks sees meanwhile that we are at work."""
        with ThreadPoolExecutor(1) as pool:
            turn = pool.submit(self._rewriting.step, self._sessions)
            while not futures.wait([turn], REWRITING_ROUND_S).done:
                self._record_round()
            turn.result()

    def _record_round(self, *, stood_by: bool = False) -> None:
        with transaction(self._sessions) as session:
            record_round(session, stood_by=stood_by)
            record_report(session, self._name, self._report.make(None))
            forget_reports(session)

    def _return_expired(self) -> tuple[int, int]:
        """Queue the images of expired claims again; return how many were queued and failed."""
        returned: list[str] = []
        while True:
            with transaction(self._sessions) as session:
                batch = [] if self._grace.holds(session) else return_expired(session)
            returned += batch
            if len(batch) < BATCH:
                return returned.count(ImageState.QUEUED), returned.count(ImageState.FAILED)

    def _free_twins(self) -> None:
        for job_id in self._jobs_in_turn(FIND_WAITING):
            with self._holding(job_id) as session:
                free_twins(session, job_id)
                log.warning("twins_freed", job_id=str(job_id))

    def _apply_left(self) -> None:
        """Apply changes of counts that a worker left before it died."""
        for job_id in self._jobs_in_turn(FIND_LEFT):
            with self._holding(job_id) as session:
                apply_left_counts(session, job_id)

    def _close_done(self) -> int:
        return sum(self._close(job_id) for job_id in self._jobs_in_turn(FIND_DONE))

    def _jobs_in_turn(self, query: TextClause) -> Iterator[UUID]:
        """Yield the jobs that a query finds, until ROUND_S are over; the next round has the rest.

        The order is random: those that take a round to no avail must not be the first ones always.
        """
        until = time.monotonic() + ROUND_S
        with transaction(self._sessions) as session:
            found = list(session.execute(query).scalars())
        random.shuffle(found)
        for job_id in found:
            yield job_id
            if time.monotonic() >= until:
                return

    def _close(self, job_id: UUID) -> bool:
        """Close a job; a large cancelled job takes several steps or rounds."""
        for _ in range(STEPS_A_ROUND):
            queued = 0
            with self._holding(job_id) as session:
                if close_job_if_done(session, job_id):
                    return True
                queued = session.scalar(select(Job.queued).where(Job.id == job_id)) or 0
            if not queued:
                return False
        return False

    @contextmanager
    def _holding(self, job_id: UUID) -> Iterator[Session]:
        """Yield a transaction on a job; if others hold its rows, it is left for the next round.

        A host that vanished in a transaction holds them until PostgreSQL notices, and must not keep
        the sweeper from all other jobs.
        """
        try:
            with transaction(self._sessions) as session:
                session.execute(JOB_LOCK_TIMEOUT)
                yield session
        except DatabaseBusy as error:
            log.warning("job_put_off", job_id=str(job_id), reason=str(error))

    def _announce_unheard(self) -> int:
        """Ring for waiting jobs that had no doorbell and were not served for two rounds.

        Any doorbell serves any job, so none is rung while enough of them wait in Redis. Where none
        waits at all, workers may be idle, and jobs that are being served are announced too.
        """
        try:
            waiting = count_doorbells(self._settings)
            room = self._settings.max_doorbells - waiting
        except QueueUnavailable as error:
            log.warning("announcing_put_off", reason=str(error))
            return 0
        if room <= 0:
            return 0
        quiet_s = 2 * self._settings.sweep_interval_s
        with transaction(self._sessions) as session:
            found = session.execute(
                FIND_UNHEARD, {"quiet_s": quiet_s, "room": room, "none_waits": not waiting}
            ).all()
            estimates = find_unheard_estimates(session, room=room)
        rung = sum(ring_estimate(self._celery, job_id) for job_id in estimates)
        return rung + sum(self._ring(*row) for row in found)

    def _work_off(self) -> int:
        return work_off(self._sessions, self._storage, until=time.monotonic() + ROUND_S)

    def _return_retrainings(self) -> int:
        with transaction(self._sessions) as session:
            return 0 if self._grace.holds(session) else return_expired_retrainings(session)

    def _announce_retrainings(self) -> int:
        """Ring for waiting retrainings, unless a doorbell for trainer workers waits in Redis."""
        try:
            if count_doorbells(self._settings, [QUEUE_RETRAIN]):
                return 0
        except QueueUnavailable as error:
            log.warning("announcing_put_off", reason=str(error))
            return 0
        quiet_s = 2 * self._settings.sweep_interval_s
        with transaction(self._sessions) as session:
            found = find_unheard_retrainings(session, quiet_s=quiet_s)
        return sum(ring_retraining(self._celery, retraining_id) for retraining_id in found)

    def _ring(self, job_id: UUID, state: str, queued: int, priority: int) -> bool:
        if state == JobState.LISTING:
            return ring_listing(self._celery, job_id)
        return ring(self._celery, job_id, images=queued, settings=self._settings, priority=priority)


def return_expired(session: Session) -> list[str]:
    """Queue images again whose lease has expired; return their new states.

    Images that their worker had started become suspects, and fail after DEATHS deaths.
    """
    message = f"{DEATHS} workers died or hung while at work on this image."
    values = {"deaths": DEATHS, "batch": BATCH, "code": ErrorCode.WORKER_LOST.value}
    rows = session.execute(RETURN_EXPIRED, {**values, "message": message}).all()
    by_job: dict[UUID, dict[int, ImageState]] = defaultdict(dict)
    for row in rows:
        by_job[row.job_id][row.id] = ImageState(row.state)
    for job_id in sorted(by_job):
        settle_images(session, job_id, by_job[job_id])
        log.warning("leases_expired", job_id=str(job_id), ids=sorted(by_job[job_id]))
    return [row.state for row in rows]
