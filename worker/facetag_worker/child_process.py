"""Hold what one child process of a worker needs: made after the fork, warm before any claim."""

import os
import socket
import threading
import uuid
from functools import partial
from uuid import UUID

import structlog
from celery import Celery
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from facetag.bundles.registry import Champion, find_champion, register_model
from facetag.db.engine import WORKER_APPLICATION, make_engine, make_sessions, persist, transaction
from facetag.db.program_reports import name_program
from facetag.db.tables import Job, JobState
from facetag.errors import DatabaseUnavailable, QueueUnavailable, ServiceUnavailable
from facetag.jobs.predictions import PREDICT_PRIORITY
from facetag.labelling.photo_labels import LoadLabeller, PhotoLabeller
from facetag.labelling.photo_reader import Thumbnails, make_reader, only_photos_of_the_tenant
from facetag.queue.celery_app import QUEUE_TAG, count_doorbells, ring, ring_listing
from facetag.queue.consumer import Stopping
from facetag.settings import Settings
from facetag.storage.client import Storage, make_storage
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag_worker.champion_watcher import ChampionWatcher
from facetag_worker.claims import choose_job, claimants, expire_leases, waiting_priority
from facetag_worker.idle_memory import IdleMemory
from facetag_worker.lease_heartbeat import Heartbeat, release_when_late
from facetag_worker.pipeline import URGENT_TURNS, Pipeline
from facetag_worker.prefix_listing import list_prefix
from facetag_worker.work_report import WorkReport

CONNECTIONS = 2
"""Database connections that a process keeps; it has twice as many for moments. Its five threads use
one for milliseconds a chunk each, and a fleet with one for each would exhaust the server's."""

WOKEN = 2
"""How many other workers a drain wakes at most."""

log = structlog.get_logger(__name__)


class WorkerProcess:
    """Hold the connections, the network and the pipeline of one child process.

    The parent makes it empty, and `open` fills it in the child, because neither connections nor a
    network survive a fork. Until then its tasks do nothing.
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
        # The parent makes the name, so that all children of this worker share it and no others do.
        self._worker = f"{socket.gethostname()}:{uuid.uuid4().hex[:8]}"
        self._sessions: sessionmaker[Session]
        self._storage: Storage
        self._pipeline: Pipeline | None = None
        self._urgent_turns = 0
        self._memory = IdleMemory()

    def open(self) -> None:
        """Load the network, warm it up and register its bundle; raises what the loading raises."""
        # This engine connects once the network is warm and stays connected, which shows that the
        # worker is ready.
        engine = make_engine(self._settings, pool_size=CONNECTIONS, application=WORKER_APPLICATION)
        self._sessions = make_sessions(engine)
        self._storage = make_storage(self._settings, pool_size=self._settings.fetch_threads)
        follower = ChampionWatcher(
            self._settings, self._load_labeller, self._storage, lambda: self._stopping.asked
        )
        labeller = follower.load_first(self._find_champion())
        self._register(labeller)
        follower.follow(self._sessions)
        self._pipeline = self._make_pipeline(follower)
        log.info("ready", bundle=labeller.version, pid=os.getpid(), cores=self._slots.lanes)

    def drain(self, job_id: UUID) -> None:
        """Answer one doorbell: work on the job whose turn it is, and ring again if work is left.

        A doorbell says only that there is work. Priority and waiting time decide which job is
        served, so that a small job does not wait behind all doorbells of a large one.
        """
        if self._pipeline is None:
            return
        self._memory.work_begins()
        try:
            self._serve_others()
            with transaction(self._sessions) as session:
                turn = choose_job(session)
                urgent = turn is not None and (waiting_priority(session, turn) or 0) > 0
            self._urgent_turns = self._urgent_turns + 1 if urgent else 0
            if turn is not None:
                self._wake_others(turn)
                goes_on = self._pipeline.drain(turn)
                if goes_on:
                    self._ring_again(job_id)
        except ServiceUnavailable as error:
            # Nothing is lost: the leases run out, and the sweeper rings again.
            log.warning("drain_interrupted", job_id=str(job_id), reason=str(error))
        finally:
            self._memory.work_ends()

    def _serve_others(self) -> None:
        """Work on a chunk of a job that waits behind predictions, after URGENT_TURNS of them."""
        if self._urgent_turns < URGENT_TURNS or self._pipeline is None:
            return
        self._urgent_turns = 0
        with transaction(self._sessions) as session:
            other = choose_job(session, below=PREDICT_PRIORITY)
        if other is not None:
            self._pipeline.drain(other, seconds=0.0)

    def list_prefix(self, job_id: UUID) -> None:
        """List a job's prefix, then ring for its images or for the rest of the listing."""
        if self._pipeline is None:
            return
        try:
            job = list_prefix(
                self._sessions,
                self._storage,
                self._settings,
                job_id,
                labelling_key=self._pipeline.labelling_key,
                stopping=lambda: self._stopping.asked,
            )
        except ServiceUnavailable as error:
            log.warning("listing_interrupted", job_id=str(job_id), reason=str(error))
            return
        if job is not None and job.state == JobState.LISTING:
            ring_listing(self._celery, job_id)
        elif job is not None and job.state == JobState.QUEUED:
            ring(self._celery, job_id, images=job.queued, settings=self._settings)

    def estimate_shares(self, job_id: UUID) -> None:
        """Begin to estimate a job's shares, in a thread: photos do not wait for it."""
        # SciPy takes time and memory, and most workers never estimate.
        from facetag_worker.job_estimate import estimate_shares

        if self._pipeline is not None:
            work = partial(estimate_shares, self._sessions, self._settings, job_id)
            threading.Thread(target=work, name="estimate", daemon=True).start()

    def _wake_others(self, job_id: UUID) -> None:
        """Ring for workers that wait, if a job has more work than this drain's first chunk.

        Each drain that begins wakes up to `WOKEN` others, so that a whole fleet is at work after a
        few steps. A doorbell that nobody has taken means that no worker waits, so none is added.
        """
        chunk = self._settings.chunk_images
        with transaction(self._sessions) as session:
            left = (session.scalar(select(Job.queued).where(Job.id == job_id)) or 0) - chunk
        if left <= 0:
            # A prediction or a small job asks Redis nothing.
            return
        try:
            waiting = count_doorbells(self._settings, [QUEUE_TAG])
        except QueueUnavailable as error:
            log.warning("others_not_woken", job_id=str(job_id), reason=str(error))
            return
        if not waiting:
            ring(self._celery, job_id, images=min(left, WOKEN * chunk), settings=self._settings)

    def _ring_again(self, job_id: UUID) -> None:
        with transaction(self._sessions) as session:
            priority = waiting_priority(session, job_id)
        if priority is not None:
            ring(self._celery, job_id, images=1, settings=self._settings, priority=priority)

    def _find_champion(self) -> Champion | None:
        """Expire the leases of dead siblings, and return the champion."""
        # This engine does not use WORKER_APPLICATION: no worker is ready yet.
        engine = make_engine(self._settings, pool_size=1)
        sessions = make_sessions(engine)
        try:
            self._expire_dead_siblings(sessions)
            return persist(
                sessions,
                lambda session: find_champion(session, tenant_id=self._settings.tenant_id),
                give_up=lambda: self._stopping.asked,
            )
        finally:
            engine.dispose()

    def _expire_dead_siblings(self, sessions: sessionmaker[Session]) -> None:
        """End the leases of dead children of this worker at once: this child replaces one of them.

        This is safe because their process ids are of this machine.
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

    def _register(self, labeller: PhotoLabeller) -> None:
        persist(
            self._sessions,
            lambda session: register_model(session, self._settings.tenant_id, labeller.manifest),
            give_up=lambda: self._stopping.asked,
        )

    def _make_pipeline(self, follower: ChampionWatcher) -> Pipeline:
        settings = self._settings
        heartbeat = Heartbeat(self._sessions, settings.lease_s)
        heartbeat.start()
        release_when_late(self._stopping, heartbeat)
        report = WorkReport(name_program("worker", os.getpid()), settings.data_dir)
        report.follow(self._sessions, lambda: follower.current().labeller.version)
        return Pipeline(
            sessions=self._sessions,
            reader=make_reader(
                self._storage,
                settings,
                self._slots,
                may_read=only_photos_of_the_tenant(settings),
                thumbnails=make_thumbnails(settings, self._storage),
            ),
            current_labeller=follower.current,
            heartbeat=heartbeat,
            report=report,
            settings=settings,
            worker=f"{self._worker}:{os.getpid()}",
            stopping=lambda: self._stopping.asked,
        )


def make_thumbnails(settings: Settings, storage: Storage) -> Thumbnails | None:
    """Return what makes and stores thumbnails; None if none are kept."""
    from facetag.vision.thumbnail import make_thumbnail

    if settings.thumbnail_side == 0:
        return None
    return Thumbnails(partial(make_thumbnail, side=settings.thumbnail_side), storage.put)


def is_alive(claimant: str) -> bool:
    """Return whether the child process whose id ends this claimant name lives."""
    try:
        os.kill(int(claimant.rpartition(":")[2]), 0)
    except ProcessLookupError:
        return False
    return True
