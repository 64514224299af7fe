"""Send a job's progress as it happens, and lead to the photos of a job in object storage."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Request
from fastapi.responses import RedirectResponse, StreamingResponse

from facetag.access.keys import is_valid_key
from facetag.db.tables import TERMINAL_JOB_STATES, Job, JobState
from facetag.errors import DatabaseUnavailable, JobNotFound
from facetag.jobs import get_job, locate_image
from facetag.storage.object_keys import thumbnail_key
from facetag_api.dependencies import AtDesk, Desk
from facetag_api.job_views import show_job
from facetag_api.openapi import problems
from facetag_api.routes.jobs import JobId

LOOK_S = 5.0
"""Seconds after which a job is read again although nothing was heard of it."""
TICK_S = 1.0
"""Seconds between two checks whether this process is to stop."""
CALM_S = 0.25
"""Least seconds between two messages about one job."""
KEPT_S = 1800
"""Seconds for which a browser may use the address of a photo again; it is valid for an hour."""

Position = Annotated[int, Path(ge=0, le=2**31 - 1)]

router = APIRouter(tags=["results"])


@router.get(
    "/v1/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **problems(404, 503)},
    tags=["jobs"],
)
async def follow_job(desk: AtDesk, job_id: JobId, request: Request) -> StreamingResponse:
    """Send the job as server-sent events whenever it changes, until it is finished.

    Each message is the JSON of GET /v1/jobs/{id}. The last event is `end`.
    """
    await run_sync(_read_job, desk, job_id)
    # In time for a status: a stream that has begun can only break off.
    desk.services.job_listener.require_place(desk.tenant_id)
    stopping: Callable[[], bool] = getattr(request.app.state, "stopping", lambda: False)
    return StreamingResponse(
        job_events(desk, job_id, stopping),
        media_type="text/event-stream",
        # nginx would otherwise keep the messages until they fill its buffer.
        headers={"X-Accel-Buffering": "no"},
    )


async def job_events(
    desk: Desk, job_id: UUID, stopping: Callable[[], bool] = lambda: False
) -> AsyncIterator[str]:
    """Yield server-sent events about a job until it ends, is deleted, or the process stops.

    The stream breaks off soon after the key that opened it has ended.
    """
    last = ""
    with desk.services.job_listener.follow(job_id, desk.tenant_id) as changed:
        while not stopping():
            changed.clear()
            try:
                job = await run_sync(_read_job, desk, job_id)
                if not await run_sync(_holds_key, desk):
                    return
            except DatabaseUnavailable:
                yield ": the database does not answer\n\n"
            except JobNotFound:
                break
            else:
                answer = show_job(job).model_dump_json()
                yield f"data: {answer}\n\n" if answer != last else ": nothing new\n\n"
                last = answer
                if job.finished_at is not None and JobState(job.state) in TERMINAL_JOB_STATES:
                    break
            await asyncio.sleep(CALM_S)
            await _wait(changed, stopping)
    yield "event: end\ndata: \n\n"


@router.get("/v1/jobs/{job_id}/images/{position}/thumbnail", responses=problems(404, 503))
def get_thumbnail(desk: AtDesk, job_id: JobId, position: Position) -> RedirectResponse:
    """Redirect to the small copy of a photo, which the worker made as it labelled it."""
    bucket, key = _locate(desk, job_id, position)
    return _redirect(
        desk, desk.services.presigner.bucket, thumbnail_key(desk.tenant_id, bucket, key)
    )


@router.get("/v1/jobs/{job_id}/images/{position}/photo", responses=problems(404, 503))
def get_photo(desk: AtDesk, job_id: JobId, position: Position) -> RedirectResponse:
    """Redirect to the photo itself in object storage."""
    return _redirect(desk, *_locate(desk, job_id, position))


def _locate(desk: Desk, job_id: UUID, position: int) -> tuple[str, str]:
    return desk.read(
        lambda session: locate_image(session, job_id, position, tenant_id=desk.tenant_id)
    )


def _redirect(desk: Desk, bucket: str, key: str) -> RedirectResponse:
    # The API carries no image bytes: whoever may see the job gets an address that is valid for an
    # hour.
    return RedirectResponse(
        desk.services.presigner.presign_get(bucket, key),
        status_code=302,
        headers={"Cache-Control": f"private, max-age={KEPT_S}"},
    )


def _holds_key(desk: Desk) -> bool:
    return desk.read(lambda session: is_valid_key(session, desk.caller.key_id))


def _read_job(desk: Desk, job_id: UUID) -> Job:
    return desk.read(lambda session: get_job(session, job_id, tenant_id=desk.tenant_id))


async def _wait(changed: asyncio.Event, stopping: Callable[[], bool]) -> None:
    until = time.monotonic() + LOOK_S
    while time.monotonic() < until and not stopping():
        try:
            await asyncio.wait_for(changed.wait(), TICK_S)
        except TimeoutError:
            continue
        return
