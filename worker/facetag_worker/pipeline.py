"""Take a job's images from claim to result, three chunks at a time.

While one is labelled, the next is claimed and read, and the one before is recorded.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from sqlalchemy.orm import Session, sessionmaker
from structlog.contextvars import bound_contextvars

from facetag.bundles.labelling_key import key_of_heads
from facetag.db.engine import Answer, persist, transaction
from facetag.errors import DatabaseUnavailable
from facetag.jobs.counts import apply_left_counts
from facetag.jobs.predictions import PREDICT_PRIORITY
from facetag.jobs.reuse.shared_contents import end_waiting
from facetag.labelling.outcomes import Outcome
from facetag.labelling.photo_labels import KeyedLabeller, label_photos, to_outcome
from facetag.labelling.photo_reader import Photo, PhotoReader, Unread
from facetag.settings import Settings
from facetag_worker.claims import (
    Claim,
    choose_job,
    claim_images,
    finish_chunk,
    finish_known,
    mark_started,
    release,
)
from facetag_worker.lease_heartbeat import Heartbeat
from facetag_worker.work_report import WorkReport

BACKOFF_S = 1.0
"""How long an image waits after its first temporary fault."""
OUTAGE_S = 120.0
"""How long finished work is kept while the database is unavailable."""

URGENT_TURNS = 4
"""Predictions that are served for each chunk of another job, however many wait."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Chunk:
    """Hold a claim whose images were read: photos to label, failures, and images to give back."""

    claim: Claim
    photos: list[Photo] = field(default_factory=list)
    failures: list[Outcome] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    @property
    def suspect(self) -> bool:
        """Whether a worker died of its image, so that nothing else may be in progress meanwhile."""
        return any(image.suspicion for image in self.claim.images)

    @property
    def away(self) -> bool:
        """Whether object storage delivered none of its images."""
        return any(one.away for one in self.unread) and not self.photos and not self.failures


@dataclass(frozen=True, slots=True)
class LabelledChunk:
    """Hold what is recorded of a claim, without its pixels: outcomes, and images to give back."""

    claim: Claim
    outcomes: Sequence[Outcome]
    unread: Sequence[Unread]
    labelling_key: bytes
    began: float


class ChunkRecorder:
    """Record chunks in a thread, one at a time.

    An error of the thread is raised by the next call. Waits out an outage of the database, unless
    the worker is stopping.
    """

    def __init__(
        self,
        sessions: sessionmaker[Session],
        heartbeat: Heartbeat,
        report: WorkReport,
        *,
        stopping: Callable[[], bool],
    ) -> None:
        self._sessions = sessions
        self._heartbeat = heartbeat
        self._report = report
        self._stopping = stopping
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="record")
        self._pending: Future[None] | None = None

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def record(self, chunk: LabelledChunk) -> None:
        """Begin to record a chunk, once the one before is recorded; raises as `wait` does."""
        self.wait()
        self._pending = self._thread.submit(self._record, chunk)

    def wait(self) -> None:
        """Wait until everything is recorded; raises DatabaseUnavailable."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def settle(self) -> None:
        """Wait as `wait` does, where another error is under way already."""
        with suppress(DatabaseUnavailable):
            self.wait()

    def _record(self, chunk: LabelledChunk) -> None:
        with bound_contextvars(job_id=str(chunk.claim.job_id)):
            began = time.perf_counter()
            self._persist_outcomes(chunk)
            self._report.add_stage("record", time.perf_counter() - began)

    def _persist_outcomes(self, chunk: LabelledChunk) -> None:
        self._release(chunk.claim, [one for one in chunk.unread if one.away], BACKOFF_S)
        self._release(chunk.claim, [one for one in chunk.unread if not one.away], 0.0)
        recorded = self._persist(
            lambda session: finish_chunk(
                session, chunk.claim, chunk.outcomes, labelling_key=chunk.labelling_key
            )
        )
        self._persist(lambda session: end_waiting(session, chunk.claim.image_ids))
        self._heartbeat.drop(chunk.claim)
        log.info(
            "chunk_finished",
            images=len(recorded),
            ids=sorted(recorded),
            late=len(chunk.outcomes) - len(recorded),
            given_back=len(chunk.unread),
            ms=round(1000 * (time.perf_counter() - chunk.began)),
        )

    def _release(self, claim: Claim, unread: Sequence[Unread], backoff_s: float) -> None:
        ids = [one.image.id for one in unread]
        if ids:
            self._persist(lambda session: release(session, claim, ids, backoff_s))

    def _persist(self, work: Callable[[Session], Answer]) -> Answer:
        until = time.monotonic() + OUTAGE_S
        return persist(
            self._sessions,
            work,
            give_up=lambda: self._stopping() or time.monotonic() > until,
            on_wait=self._heartbeat.progress,
        )


class Pipeline:
    """Drain jobs, one drain at a time, with one labeller per chunk."""

    def __init__(
        self,
        *,
        sessions: sessionmaker[Session],
        reader: PhotoReader,
        current_labeller: Callable[[], KeyedLabeller],
        heartbeat: Heartbeat,
        report: WorkReport,
        settings: Settings,
        worker: str,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._sessions = sessions
        self._reader = reader
        self._current_labeller = current_labeller
        self._heartbeat = heartbeat
        self._report = report
        self._settings = settings
        self._worker = worker
        self._stopping = stopping
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._recorder = ChunkRecorder(sessions, heartbeat, report, stopping=stopping)

    @property
    def labelling_key(self) -> bytes:
        """The key of the labels that the next chunk gets."""
        return self._current_labeller().key

    def close(self) -> None:
        """End the threads."""
        self._ahead.shutdown()
        self._recorder.close()
        self._reader.close()
        self._report.close()

    def drain(self, job_id: UUID, *, seconds: float | None = None) -> bool:
        """Work on a job while it has claimable images, for `seconds` (`drain_s`) and one chunk.

        Jobs of higher priority are served between its chunks. Ends early when the worker stops, and
        then gives claims back that are not being labelled. Ends early too, and returns False, if
        object storage is unavailable: going on at once would not help. Raises DatabaseUnavailable.
        """
        until = time.monotonic() + (self._settings.drain_s if seconds is None else seconds)
        away = False
        ahead: Future[Chunk | None] | None = None
        chunk = self._prepare(job_id)
        try:
            while chunk is not None and not self._stopping():
                current, chunk = chunk, None
                away = current.away
                goes_on = not away and time.monotonic() < until
                if goes_on and not current.suspect:
                    ahead = self._ahead.submit(self._prepare, job_id, suspects=False)
                if not current.suspect:
                    self._serve_urgent(above=current.claim.priority, until=until)
                self._complete(current)
                if ahead is not None:
                    chunk, ahead = ahead.result(), None
                if chunk is None:
                    # What it gave back can be claimed again, and a suspect is served alone.
                    self._recorder.wait()
                    if goes_on and not self._stopping():
                        chunk = self._prepare(job_id)
            self._recorder.wait()
            with transaction(self._sessions) as session:
                apply_left_counts(session, job_id)
        except DatabaseUnavailable:
            self._heartbeat.abandon()
            raise
        finally:
            self._give_back(chunk)
            if ahead is not None and ahead.exception() is None:
                self._give_back(ahead.result())
            self._recorder.settle()
            self._heartbeat.forget()
        return not away

    def _prepare(self, job_id: UUID, *, suspects: bool = True) -> Chunk | None:
        """Claim, fetch and decode the next images of a job; None if there is nothing to claim."""
        claim = self._claim(job_id, suspects=suspects)
        if claim is None:
            return None
        self._heartbeat.hold(claim)
        # A prediction keeps nothing of its photo, nor does a job that keeps counts.
        keeps = not claim.counts_only and claim.priority < PREDICT_PRIORITY
        with bound_contextvars(job_id=str(job_id)):
            results = self._reader.read(
                claim.images,
                tenant_id=claim.tenant_id if keeps else None,
                stopping=self._stopping,
                on_progress=self._heartbeat.progress,
            )
        chunk = Chunk(claim)
        for result in results:
            match result:
                case Photo():
                    chunk.photos.append(result)
                case Outcome():
                    chunk.failures.append(result)
                case Unread():
                    chunk.unread.append(result)
        return chunk

    def _claim(self, job_id: UUID, *, suspects: bool) -> Claim | None:
        """Claim the next images that have to be labelled; None if there are none."""
        while not self._stopping():
            with transaction(self._sessions) as session:
                claim = claim_images(
                    session,
                    job_id=job_id,
                    limit=self._settings.chunk_images,
                    lease_s=self._settings.lease_s,
                    worker=self._worker,
                    suspects=suspects,
                )
                if claim is None:
                    return None
                key = key_of_heads(self.labelling_key, claim.heads, self._settings)
                claim = finish_known(session, claim, key)
                if claim.images:
                    mark_started(session, claim, self._settings.lease_s)
                    return claim
        return None

    def _serve_urgent(self, *, above: int, until: float) -> None:
        """Work on jobs of a higher priority: at most URGENT_TURNS, and not after `until`."""
        for _ in range(URGENT_TURNS):
            if self._stopping() or time.monotonic() >= until:
                return
            try:
                with transaction(self._sessions) as session:
                    job_id = choose_job(session, above=above)
                chunk = None if job_id is None else self._prepare(job_id, suspects=False)
            except DatabaseUnavailable as error:
                # Keep the current chunk: finishing it survives an outage.
                log.warning("urgent_unknown", reason=str(error))
                return
            if chunk is None:
                return
            self._complete(chunk)

    def _complete(self, chunk: Chunk) -> None:
        """Label a chunk's photos and have the outcomes recorded; unread images are given back."""
        began = time.perf_counter()
        # A new champion takes over between chunks, never within one.
        current = self._current_labeller()
        with bound_contextvars(job_id=str(chunk.claim.job_id)):
            labels = label_photos(
                current.labeller,
                [photo.picture for photo in chunk.photos],
                heads=chunk.claim.heads,
                ids=[photo.image.id for photo in chunk.photos],
                on_progress=self._heartbeat.progress,
            )
        outcomes = chunk.failures + [
            to_outcome(photo, found, current.labeller.version)
            for photo, found in zip(chunk.photos, labels, strict=True)
        ]
        self._report.add_batch(one.stage_ms for one in outcomes)
        key = key_of_heads(current.key, chunk.claim.heads, self._settings)
        self._recorder.record(LabelledChunk(chunk.claim, outcomes, chunk.unread, key, began))

    def _give_back(self, chunk: Chunk | None) -> None:
        """Release a chunk that was claimed and will not be labelled."""
        if chunk is None:
            return
        self._heartbeat.drop(chunk.claim)
        try:
            with transaction(self._sessions) as session:
                given = release(session, chunk.claim, chunk.claim.image_ids)
        except DatabaseUnavailable as error:
            log.warning("claim_left_to_its_lease", reason=str(error))
        else:
            log.info("claim_given_back", job_id=str(chunk.claim.job_id), images=given)
