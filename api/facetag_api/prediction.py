"""Label one photo while the caller waits, and delete everything of it afterwards."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
import structlog
from anyio.to_thread import run_sync

from facetag import jobs
from facetag.errors import JobNotFound, JobStateConflict, QueueUnavailable, ServiceUnavailable
from facetag.jobs import NewImage
from facetag.jobs.predictions import PREDICT_PRIORITY, forget_prediction
from facetag.queue.celery_app import ring
from facetag.storage.object_keys import predict_prefix
from facetag_api.dependencies import Desk
from facetag_api.problems import TooBusy, WorkerSilent

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.2
FORGET_PAUSE_S = 1.0

T = TypeVar("T")
log = structlog.get_logger(__name__)


@asynccontextmanager
async def predict_place(desk: Desk) -> AsyncIterator[None]:
    """Hold a place among the waiting predictions; raises TooBusy if all are taken."""
    places = desk.services.predict_places
    try:
        places.acquire_nowait()
    except anyio.WouldBlock as error:
        raise TooBusy(
            f"{int(places.total_tokens)} photos are waiting already: try again, or create a job."
        ) from error
    try:
        yield
    finally:
        places.release()


@dataclass
class Prediction:
    """Hold a job of one image, which is claimed before all other jobs, and its object.

    The key is random, not made from the content, so an object that the caller uploaded stays.
    """

    desk: Desk
    name: str
    job_id: uuid.UUID | None = None
    key: str = field(init=False)

    def __post_init__(self) -> None:
        self.key = f"{predict_prefix(self.desk.tenant_id)}{uuid.uuid4().hex}"

    async def submit(self, data: bytes) -> None:
        """Store the photo, create the job and ring; raises ServiceUnavailable."""
        storage = self.desk.services.storage
        await self._in_thread(lambda: storage.put(self.key, data, "application/octet-stream"))
        await self._in_thread(self._create_job)

    async def wait_for_line(self, gone: Callable[[], Any]) -> dict[str, Any]:
        """Return the image's line once the image is labelled.

        `gone` is awaited between polls and tells whether the caller has left. Raises WorkerSilent
        after FACETAG_PREDICT_TIMEOUT_S, or if the caller has left.
        """
        timeout_s = self.desk.services.settings.predict_timeout_s
        deadline_s = time.monotonic() + timeout_s
        pause_s = FIRST_PAUSE_S
        while True:
            line = await self._in_thread(self._read_line)
            if line is not None:
                return line
            if time.monotonic() > deadline_s or await gone():
                raise WorkerSilent(
                    f"No worker labelled the photo within {timeout_s:g} s. "
                    "GET /readyz says whether one is running."
                )
            await anyio.sleep(pause_s)
            pause_s = min(pause_s * 1.3, LONGEST_PAUSE_S)

    async def forget(self) -> None:
        """Delete the object and the job, in the background if a worker still holds the image."""
        try:
            await self._in_thread(self._delete_all)
        except (ServiceUnavailable, JobStateConflict):
            background = self.desk.services.background
            task = asyncio.create_task(self._forget_later())
            background.add(task)
            task.add_done_callback(background.discard)

    async def _forget_later(self) -> None:
        # Within two leases the image is finished, or returned by the sweeper and cancelled.
        deadline_s = time.monotonic() + 2 * self.desk.services.settings.lease_s
        reason = ""
        while time.monotonic() < deadline_s:
            await anyio.sleep(FORGET_PAUSE_S)
            try:
                await self._in_thread(self._delete_all)
            except (ServiceUnavailable, JobStateConflict) as error:
                reason = str(error)
            else:
                return
        log.error("prediction_left_behind", job_id=str(self.job_id), key=self.key, reason=reason)

    def _create_job(self) -> None:
        services = self.desk.services
        image = NewImage(key=self.key, name=self.name, bucket=services.storage.bucket)
        with self.desk.transaction() as session:
            job, _ = jobs.create_job(
                session, tenant_id=self.desk.tenant_id, images=[image], priority=PREDICT_PRIORITY
            )
        self.job_id = job.id
        if not ring(
            services.celery, job.id, images=1, settings=services.settings, priority=PREDICT_PRIORITY
        ):
            raise QueueUnavailable(
                "Redis does not answer at FACETAG_REDIS_URL: check that it runs."
            )

    def _read_line(self) -> dict[str, Any] | None:
        assert self.job_id is not None  # noqa: S101 - narrows the type for mypy
        with self.desk.transaction() as session:
            job = jobs.get_job(session, self.job_id, tenant_id=self.desk.tenant_id)
            if job.finished_at is None:
                return None
            lines, _ = jobs.list_images(session, job.id, tenant_id=self.desk.tenant_id, limit=1)
        del lines[0]["position"]
        return lines[0]

    def _delete_all(self) -> None:
        storage = self.desk.services.storage
        storage.delete([self.key])
        if self.job_id is None:
            return
        try:
            sessions = self.desk.services.sessions
            forget_prediction(sessions, self.job_id, tenant_id=self.desk.tenant_id)
        except JobNotFound:
            log.info("prediction_already_deleted", job_id=str(self.job_id))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await run_sync(call, limiter=self.desk.services.predict_threads)
