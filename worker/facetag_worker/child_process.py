"""What one child process of a worker holds: made after the fork, and warm before any claim."""

import os
import socket
import uuid
from uuid import UUID

import structlog
from celery import Celery
from sqlalchemy.orm import Session, sessionmaker

from facetag.bundles.registry import Champion, find_champion, register_model
from facetag.db.engine import WORKER_APPLICATION, make_engine, make_sessions, persist, transaction
from facetag.db.tables import JobState
from facetag.errors import DatabaseUnavailable, ServiceUnavailable
from facetag.queue.celery_app import ring, ring_listing
from facetag.queue.consumer import Stopping
from facetag.settings import Settings
from facetag.storage.client import Storage, make_storage
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.inference.glibc_heap import return_free_memory
from facetag.vision.photo import Picture, whole_picture, working_side
from facetag_worker.champion_watcher import ChampionFollower
from facetag_worker.claims import choose_job, claimants, expire_leases, waiting_priority
from facetag_worker.fetch import Decode, PhotoReader
from facetag_worker.heartbeat import Heartbeat
from facetag_worker.isolated_decoder import SuspectDecoder
from facetag_worker.label import Labeller, LoadLabeller
from facetag_worker.list_prefix import list_prefix
from facetag_worker.pipeline import Pipeline
from facetag_worker.shutdown import release_when_late

THREADS_BESIDE_THE_READERS = 5
"""What else uses a connection at the same time: the drain, its next chunk, the heartbeat, and who
looks for a new champion."""

log = structlog.get_logger(__name__)


class WorkerProcess:
    """The connections, the network and the pipeline of one child process.

    Made empty in the parent and filled by `open` in the child: neither connections nor a network
    survive a fork. Until then its tasks do nothing.
    """

    def __init__(
        self,
        settings: Settings,
        load_labeller: LoadLabeller,
        celery: Celery,
        stopping: Stopping,
        slots: CpuSlots,
    ) -> None:
        self._settings = settings
        self._load_labeller = load_labeller
        self._celery = celery
        self._stopping = stopping
        self._slots = slots
        # Made in the parent, so that all children of one worker and nobody else carry it.
        self._worker = f"{socket.gethostname()}:{uuid.uuid4().hex[:8]}"
        self._sessions: sessionmaker[Session]
        self._storage: Storage
        self._pipeline: Pipeline | None = None

    def open(self) -> None:
        """Load the network, warm it up, register its bundle; raises what the loading raises."""
        # It connects once the network is warm, and stays connected: by that the worker is seen.
        engine = make_engine(
            self._settings, pool_size=THREADS_BESIDE_THE_READERS, application=WORKER_APPLICATION
        )
        self._sessions = make_sessions(engine)
        self._storage = make_storage(self._settings, pool_size=self._settings.fetch_threads)
        follower = ChampionFollower(
            self._settings, self._load_labeller, self._storage, lambda: self._stopping.asked
        )
        labeller = follower.load_first(self._look_around())
        self._register(labeller)
        follower.follow(self._sessions)
        self._pipeline = self._make_pipeline(follower)
        log.info("ready", bundle=labeller.version, pid=os.getpid(), cores=self._slots.lanes)

    def drain(self, job_id: UUID) -> None:
        """Answer one doorbell: work on the job whose turn it is, and ring again for what is left.

        Any doorbell says that there is work; which job is served is decided by priority and
        waiting time, so that a small job does not wait behind all doorbells of a large one.
        """
        if self._pipeline is None:
            return
        try:
            with transaction(self._sessions) as session:
                turn = choose_job(session)
            if turn is not None:
                goes_on = self._pipeline.drain(turn)
                # At work what is free is kept for the next chunk; the next drain may be far.
                return_free_memory()
                if goes_on:
                    self._ring_again(job_id)
        except ServiceUnavailable as error:
            # Nothing is lost: leases run out, and the sweeper rings.
            log.warning("drain_interrupted", job_id=str(job_id), reason=str(error))

    def list_prefix(self, job_id: UUID) -> None:
        """List a job's prefix, then ring for its images, or to go on with the listing."""
        if self._pipeline is None:
            return
        try:
            job = list_prefix(
                self._sessions,
                self._storage,
                self._settings,
                job_id,
                stopping=lambda: self._stopping.asked,
            )
        except ServiceUnavailable as error:
            log.warning("listing_interrupted", job_id=str(job_id), reason=str(error))
            return
        if job is not None and job.state == JobState.LISTING:
            ring_listing(self._celery, job_id)
        elif job is not None and job.state == JobState.QUEUED:
            ring(self._celery, job_id, images=job.queued, settings=self._settings)

    def _ring_again(self, job_id: UUID) -> None:
        with transaction(self._sessions) as session:
            priority = waiting_priority(session, job_id)
        if priority is not None:
            ring(self._celery, job_id, images=1, settings=self._settings, priority=priority)

    def _look_around(self) -> Champion | None:
        """Bury the siblings that died and return the champion, before the network is loaded."""
        # Under another name than a warm worker's: we are none yet.
        engine = make_engine(self._settings, pool_size=1)
        sessions = make_sessions(engine)
        try:
            self._bury_siblings(sessions)
            return persist(
                sessions,
                lambda session: find_champion(session, tenant_id=self._settings.tenant_id),
                give_up=lambda: self._stopping.asked,
            )
        finally:
            engine.dispose()

    def _bury_siblings(self, sessions: sessionmaker[Session]) -> None:
        """Have the leases run out that dead children of this worker held: one of them we replace.

        Sooner than by themselves, and surely: their ids are of this very machine.
        """
        try:
            with transaction(sessions) as session:
                fallen = [one for one in claimants(session, self._worker) if not is_alive(one)]
                expired = expire_leases(session, fallen)
        except DatabaseUnavailable as error:
            log.warning("siblings_unknown", reason=str(error))
        else:
            if expired:
                log.info("siblings_buried", workers=fallen, images=expired)

    def _register(self, labeller: Labeller) -> None:
        persist(
            self._sessions,
            lambda session: register_model(session, self._settings.tenant_id, labeller.manifest),
            give_up=lambda: self._stopping.asked,
        )

    def _make_pipeline(self, follower: ChampionFollower) -> Pipeline:
        settings = self._settings
        decode_suspect = SuspectDecoder(settings)
        side = working_side(settings.min_face)

        def look_at_suspect(data: bytes) -> Picture:
            return whole_picture(decode_suspect(data), side)

        heartbeat = Heartbeat(self._sessions, settings.lease_s)
        heartbeat.start()
        release_when_late(self._stopping, heartbeat)
        return Pipeline(
            sessions=self._sessions,
            reader=PhotoReader(
                self._storage,
                make_decode(settings),
                decode_suspect=look_at_suspect,
                slots=self._slots,
                max_bytes=settings.max_image_bytes,
                threads=settings.fetch_threads,
            ),
            current_labeller=follower.current,
            heartbeat=heartbeat,
            settings=settings,
            worker=f"{self._worker}:{os.getpid()}",
            stopping=lambda: self._stopping.asked,
        )


def make_decode(settings: Settings) -> Decode:
    """Return what makes a picture of a file, as the settings have it."""
    from facetag.vision.decode import decode_picture

    def decode(data: bytes) -> Picture:
        return decode_picture(
            data,
            formats=settings.image_formats,
            max_pixels=settings.max_image_pixels,
            copy_side=working_side(settings.min_face),
        )

    return decode


def is_alive(claimant: str) -> bool:
    """Tell whether the child that claimed images under this name lives; its id comes last."""
    try:
        os.kill(int(claimant.rpartition(":")[2]), 0)
    except ProcessLookupError:
        return False
    return True
