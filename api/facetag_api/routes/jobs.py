"""Jobs: create, list, show, cancel, retry and delete them."""

import hashlib
import uuid
from typing import Annotated

import structlog
from fastapi import APIRouter, BackgroundTasks, Depends, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from facetag import jobs
from facetag.db.tables import Job, JobState
from facetag.errors import JobNotFound, StorageUnavailable
from facetag.queue.celery_app import ring, ring_listing
from facetag_api.dependencies import AtDesk, Desk
from facetag_api.job_views import show_job, show_new_job
from facetag_api.object_keys import locate_prefix, resolve_images
from facetag_api.openapi import json_body, problems
from facetag_api.problems import MediaTypeRefused
from facetag_api.schemas import JobAnswer, JobPage, JobRequest, RetryRequest

router = APIRouter(tags=["jobs"])
log = structlog.get_logger(__name__)


async def read_json(request: Request) -> bytes:
    """Return the raw body; raises MediaTypeRefused where it is not declared as JSON.

    Read raw since pydantic parses a job of 100,000 images straight into slotted objects, in a
    thread; FastAPI would build a dictionary for each of them first, on the event loop.
    """
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared != "application/json":
        raise MediaTypeRefused("Send the body as Content-Type: application/json.")
    return await request.body()


async def parse_job_id(job_id: str) -> uuid.UUID:
    """Return the id of a path; what is no id at all is a job that does not exist."""
    try:
        return uuid.UUID(job_id)
    except ValueError as error:
        raise JobNotFound(f"There is no job {job_id}.") from error


JobId = Annotated[uuid.UUID, Depends(parse_job_id)]


@router.post(
    "/v1/jobs",
    status_code=202,
    responses=problems(413, 415, 422, 503),
    openapi_extra=json_body("JobRequest"),
)
def create_job(
    desk: AtDesk,
    body: Annotated[bytes, Depends(read_json)],
    response: Response,
    afterwards: BackgroundTasks,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            description="Sent again with the same request, it gives the first answer again",
        ),
    ] = None,
) -> JobAnswer:
    """Create a job of up to 100,000 images, or of all images below a prefix.

    Keys lie below the tenant's own prefix (as POST /v1/uploads gives them) or, as
    `s3://bucket/key`, in an allowed source bucket. Keys and names may occur more than once: results
    have one line for each image, in the order given here.
    """
    wanted = parse_job_request(body)
    job, created = _insert_job(desk, wanted, idempotency_key)
    if created:
        afterwards.add_task(_ring, desk, job)
    else:
        response.headers["Idempotent-Replayed"] = "true"
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return show_new_job(job)


@router.get("/v1/jobs", responses=problems(422, 503))
def list_jobs(
    desk: AtDesk,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobPage:
    """Return a page of jobs, the newest first."""
    page, next_cursor = desk.read(
        lambda session: jobs.list_jobs(
            session, tenant_id=desk.tenant_id, cursor=cursor, limit=limit
        )
    )
    return JobPage(jobs=[show_job(job) for job in page], next_cursor=next_cursor)


@router.get("/v1/jobs/{job_id}", response_model=JobAnswer, responses=problems(404, 503))
def get_job(desk: AtDesk, job_id: JobId) -> Response:
    """Return a job as it is now."""
    job = desk.read(lambda session: jobs.get_job(session, job_id, tenant_id=desk.tenant_id))
    answer = show_job(job)
    # Polled by everyone: as JSON from here, it is neither checked again nor sent to another thread.
    return Response(answer.model_dump_json(), media_type="application/json")


@router.post("/v1/jobs/{job_id}/cancel", responses=problems(404, 409, 503))
def cancel_job(desk: AtDesk, job_id: JobId) -> JobAnswer:
    """Stop a job: what is queued is cancelled, what runs is finished and stays.

    The job is `cancelled` at once. Of more than 20,000 queued images the rest follows in seconds;
    `finished_at` is set then.
    """
    with desk.transaction() as session:
        return show_job(jobs.cancel_job(session, job_id, tenant_id=desk.tenant_id))


@router.post("/v1/jobs/{job_id}/retry", status_code=202, responses=problems(404, 409, 422, 503))
def retry_job(
    desk: AtDesk,
    job_id: JobId,
    response: Response,
    afterwards: BackgroundTasks,
    wanted: RetryRequest | None = None,  # noqa: ARG001 - it has one value today
) -> JobAnswer:
    """Queue the failed images of a finished job again."""
    with desk.transaction() as session:
        job = jobs.retry_job(session, job_id, tenant_id=desk.tenant_id)
    afterwards.add_task(_ring, desk, job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return show_job(job)


@router.post("/v1/jobs/{job_id}/retag", status_code=202, responses=problems(404, 409, 503))
def retag_job(
    desk: AtDesk, job_id: JobId, response: Response, afterwards: BackgroundTasks
) -> JobAnswer:
    """Label the images of a finished job again, as a new job."""
    with desk.transaction() as session:
        job = jobs.retag_job(session, job_id, tenant_id=desk.tenant_id)
    afterwards.add_task(_ring, desk, job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return show_job(job)


@router.delete("/v1/jobs/{job_id}", status_code=204, responses=problems(404, 409, 503))
def delete_job(desk: AtDesk, job_id: JobId) -> None:
    """Delete a job that is done, its results, and the photos that no other job refers to."""
    storage = desk.services.storage
    with desk.transaction() as session:
        keys = jobs.delete_job(session, job_id, tenant_id=desk.tenant_id, bucket=storage.bucket)
    try:
        storage.delete(keys)
    except StorageUnavailable as error:
        # The rows are gone, and with them the right to ask again: leave a trace to act on.
        log.error("objects left behind", job_id=str(job_id), keys=len(keys), reason=str(error))


def parse_job_request(body: bytes) -> JobRequest:
    """Return the request; raises RequestValidationError."""
    try:
        return JobRequest.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError(
            [{**fault, "loc": ("body", *fault["loc"])} for fault in faults]
        ) from error


def digest_request(wanted: JobRequest) -> str:
    """Return a SHA-256 of what is wanted: blanks and the order of JSON's fields do not count."""
    digest = hashlib.sha256()
    # Keys, names and prefixes hold no zero characters, so nothing runs into its neighbour.
    for part in ("images" if wanted.prefix is None else wanted.prefix, repr(wanted.name)):
        digest.update(part.encode() + b"\0")
    for image in wanted.images or ():
        digest.update(f"{image.key}\0{image.name}\0".encode())
    return digest.hexdigest()


def _insert_job(desk: Desk, wanted: JobRequest, idempotency_key: str | None) -> tuple[Job, bool]:
    settings, tenant_id = desk.services.settings, desk.tenant_id
    digest = digest_request(wanted) if idempotency_key else None
    if wanted.images is None:
        bucket, prefix = locate_prefix(wanted.prefix or "", settings=settings, tenant_id=tenant_id)
        with desk.transaction() as session:
            return jobs.create_prefix_job(
                session,
                tenant_id=tenant_id,
                bucket=bucket,
                prefix=prefix,
                name=wanted.name,
                idempotency_key=idempotency_key,
                request_sha256=digest,
            )
    images = resolve_images(wanted.images, settings=settings, tenant_id=tenant_id)
    with desk.transaction() as session:
        return jobs.create_job(
            session,
            tenant_id=tenant_id,
            images=images,
            name=wanted.name,
            idempotency_key=idempotency_key,
            request_sha256=digest,
        )


def _ring(desk: Desk, job: Job) -> None:
    # After the answer, which waits for no Redis, and best effort: the sweeper rings again.
    if job.state == JobState.LISTING:
        ring_listing(desk.services.celery, job.id)
    else:
        ring(
            desk.services.celery,
            job.id,
            images=job.queued,
            settings=desk.services.settings,
            priority=job.priority,
        )
