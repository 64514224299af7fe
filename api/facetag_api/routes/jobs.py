"""Create, list, show, cancel, resume, retry, retag and delete jobs."""

import hashlib
import uuid
from contextlib import suppress
from typing import Annotated, TypeVar

import structlog
from fastapi import APIRouter, BackgroundTasks, Depends, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from sqlalchemy.orm import Session

from facetag import jobs
from facetag.bundles.labelling_key import current_key, key_of_heads
from facetag.db.tables import Job, JobState
from facetag.erasure.purge import purge_job
from facetag.erasure.tombstones import work_off
from facetag.errors import DatabaseUnavailable, JobNotFound, JobStateConflict, QuotaReached
from facetag.heads import HEADS_BY_NAME
from facetag.jobs.new_image import LabelWish
from facetag.jobs.quotas import check_image_quota, check_quota
from facetag.jobs.reuse.earlier_images import EarlierImages, Run, require_held, take_over
from facetag.queue.celery_app import ring, ring_listing
from facetag.settings import Settings
from facetag_api.dependencies import AtDesk, Desk
from facetag_api.image_locations import locate_prefix, require_room, resolve_images
from facetag_api.job_views import show_job, show_new_job
from facetag_api.openapi import json_body, problems
from facetag_api.problems import MediaTypeRefused, RequestInvalid, count_faults
from facetag_api.schemas import Erasure, JobAnswer, JobPage, JobRequest, RetryRequest, WantedJob

router = APIRouter(tags=["jobs"])
log = structlog.get_logger(__name__)
Body = TypeVar("Body", bound=BaseModel)


async def read_json(request: Request) -> bytes:
    """Return the raw body; raises MediaTypeRefused if it is not declared as JSON.

    pydantic parses the raw body of a job of 100,000 images straight into slotted objects, in a
    thread. FastAPI would first build a dictionary per image, on the event loop.
    """
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared != "application/json":
        raise MediaTypeRefused("Send the body as Content-Type: application/json.")
    return await request.body()


async def parse_job_id(job_id: str) -> uuid.UUID:
    """Return the job id in a path; raises JobNotFound for anything that is not an id."""
    try:
        return uuid.UUID(job_id)
    except ValueError as error:
        raise JobNotFound(f"There is no job {job_id}.") from error


JobId = Annotated[uuid.UUID, Depends(parse_job_id)]


@router.post(
    "/v1/jobs",
    status_code=202,
    responses=problems(409, 413, 415, 422, 503),
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
            description="Any text of yours. The same request with the same key gets the first "
            "answer again and creates no second job",
        ),
    ] = None,
) -> JobAnswer:
    """Create a job of up to 100,000 images, or of all images below a prefix.

    A key is one that POST /v1/uploads gave, or `s3://bucket/key` in an allowed source bucket. Keys
    and names may occur more than once. The results have one line per image, in the order given
    here. Uploaded photos whose bytes the same network labelled before, with the same settings, are
    finished at once with that result (`reused`), unless `reuse` is false. Photos that an earlier
    job holds need not be sent again: see `known`.
    """
    wanted = parse_body(JobRequest, body)
    job, created = _insert_job(desk, wanted, idempotency_key)
    earlier = _earlier(wanted)
    if earlier is not None:
        if created and job.finished_at is None:
            # Workers begin with what is new while the rest is taken over.
            desk.services.lookups.submit(_ring, desk, job)
        job = _take_over(desk, job, earlier)
    elif created and job.finished_at is None:
        afterwards.add_task(_ring, desk, job)
    if created:
        log.info("job_created", job_id=str(job.id), images=job.total)
    else:
        response.headers["Idempotent-Replayed"] = "true"
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return show_new_job(job)


@router.get("/v1/jobs", responses=problems(422, 503))
def list_jobs(
    desk: AtDesk,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the previous page")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    id: Annotated[  # noqa: A002 - the name in the URL
        str, Query(pattern="^[0-9a-fA-F-]{0,36}$", description="Only jobs whose id begins so")
    ] = "",
) -> JobPage:
    """Return a page of jobs, the newest first."""
    page, next_cursor = desk.read(
        lambda session: jobs.list_jobs(
            session, tenant_id=desk.tenant_id, cursor=cursor, limit=limit, id_prefix=id
        )
    )
    return JobPage(jobs=[show_job(job) for job in page], next_cursor=next_cursor)


@router.get("/v1/jobs/{job_id}", response_model=JobAnswer, responses=problems(404, 503))
def get_job(desk: AtDesk, job_id: JobId) -> Response:
    """Return a job as it is now."""
    job = desk.read(lambda session: jobs.get_job(session, job_id, tenant_id=desk.tenant_id))
    answer = show_job(job)
    # Every client polls this route: JSON made here is not validated again in another thread.
    return Response(answer.model_dump_json(), media_type="application/json")


@router.post("/v1/jobs/{job_id}/cancel", responses=problems(404, 409, 503))
def cancel_job(desk: AtDesk, job_id: JobId) -> JobAnswer:
    """Cancel a job: queued images are cancelled, running ones are finished and kept.

    The job is `cancelled` at once. If many thousands are queued, the rest is cancelled within
    seconds. `finished_at` is set when no image is left.
    """
    with desk.transaction() as session:
        return show_job(jobs.cancel_job(session, job_id, tenant_id=desk.tenant_id))


@router.post("/v1/jobs/{job_id}/resume", status_code=202, responses=problems(404, 409, 503))
def resume_job(
    desk: AtDesk, job_id: JobId, response: Response, afterwards: BackgroundTasks
) -> JobAnswer:
    """Queue the cancelled images of a cancelled job again; its results stay."""
    with desk.transaction() as session:
        _check_open_jobs(session, desk)
        job = jobs.resume_job(session, job_id, tenant_id=desk.tenant_id)
    if job.finished_at is None:
        afterwards.add_task(_ring, desk, job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return show_job(job)


@router.post("/v1/jobs/{job_id}/retry", status_code=202, responses=problems(404, 409, 422, 503))
def retry_job(
    desk: AtDesk,
    job_id: JobId,
    response: Response,
    afterwards: BackgroundTasks,
    wanted: RetryRequest | None = None,  # noqa: ARG001 - it has only one value so far
) -> JobAnswer:
    """Queue the failed images of a finished job again."""
    with desk.transaction() as session:
        _check_open_jobs(session, desk)
        job = jobs.retry_job(session, job_id, tenant_id=desk.tenant_id)
    afterwards.add_task(_ring, desk, job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return show_job(job)


@router.post("/v1/jobs/{job_id}/retag", status_code=202, responses=problems(404, 409, 503))
def retag_job(
    desk: AtDesk, job_id: JobId, response: Response, afterwards: BackgroundTasks
) -> JobAnswer:
    """Label the images of a finished job again, as a new job."""
    tenant_id = desk.tenant_id
    with desk.transaction() as session:
        old = jobs.get_job(session, job_id, tenant_id=tenant_id)
        settings = desk.services.settings
        check_quota(session, settings, tenant_id=tenant_id, images=old.total or 0)
        job = jobs.retag_job(session, job_id, tenant_id=tenant_id)
    afterwards.add_task(_ring, desk, job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return show_job(job)


@router.delete("/v1/jobs/{job_id}", status_code=202, responses=problems(404, 409, 503))
def delete_job(desk: AtDesk, job_id: JobId, afterwards: BackgroundTasks) -> Erasure:
    """Delete a finished job, its results, and the photos that no other job refers to.

    Nobody finds the job or its results any more. The rows of a large job and the objects are
    deleted afterwards, however long object storage is away.
    """
    with desk.transaction() as session:
        number = purge_job(
            session,
            job_id,
            tenant_id=desk.tenant_id,
            bucket=desk.services.storage.bucket,
            actor=desk.caller.shown,
        )
    afterwards.add_task(_erase, desk, job_id)
    return Erasure(number=number)


def parse_body(model: type[Body], body: bytes) -> Body:
    """Return the request in a body; raises RequestValidationError."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError(
            [{**fault, "loc": ("body", *fault["loc"])} for fault in faults]
        ) from error


def digest_request(wanted: JobRequest) -> str:
    """Return a SHA-256 of the request that ignores blanks and the order of JSON fields."""
    digest = hashlib.sha256()
    # Keys, names and prefixes hold no zero characters, so a zero separates them safely.
    for part in ("images" if wanted.prefix is None else wanted.prefix, repr(wanted.name)):
        digest.update(part.encode() + b"\0")
    if not wanted.reuse:
        digest.update(b"fresh\0")
    if wanted.known is not None:
        digest.update(f"{wanted.known}\0".encode())
    if (wish := (wanted.heads, wanted.store, wanted.purpose)) != (None, "results", None):
        digest.update(f"{wish}\0".encode())
    for image in wanted.images or ():
        digest.update(f"{image.key}\0{image.name}\0".encode())
    return digest.hexdigest()


def _insert_job(desk: Desk, wanted: JobRequest, idempotency_key: str | None) -> tuple[Job, bool]:
    settings, tenant_id = desk.services.settings, desk.tenant_id
    digest = digest_request(wanted) if idempotency_key else None
    wish = read_wish(wanted, settings)
    if wanted.prefix is not None:
        bucket, prefix = locate_prefix(wanted.prefix, settings=settings, tenant_id=tenant_id)
        with desk.transaction() as session:
            check_quota(
                session,
                settings,
                tenant_id=tenant_id,
                images=0,
                idempotency_key=idempotency_key,
            )
            return jobs.create_prefix_job(
                session,
                tenant_id=tenant_id,
                bucket=bucket,
                prefix=prefix,
                name=wanted.name,
                idempotency_key=idempotency_key,
                request_sha256=digest,
                reuse=wanted.reuse,
                wish=wish,
            )
    earlier = _earlier(wanted)
    require_room(wanted.total, settings)
    images = resolve_images(wanted.images or (), settings=settings, tenant_id=tenant_id)
    with desk.transaction() as session:
        check_quota(
            session,
            settings,
            tenant_id=tenant_id,
            images=wanted.total,
            idempotency_key=idempotency_key,
        )
        reuse = wanted.reuse and not wish.counts_only
        key = current_key(session, settings) if reuse else None
        key = key_of_heads(key, wish.heads, settings)
        job, created = jobs.create_job(
            session,
            tenant_id=tenant_id,
            images=images,
            name=wanted.name,
            idempotency_key=idempotency_key,
            request_sha256=digest,
            reuse=reuse,
            labelling_key=key,
            wish=wish,
            places=None if earlier is None else earlier.other_places(),
        )
        if created and earlier is not None:
            require_held(session, earlier, tenant_id=tenant_id, key=key)
        return job, created


def _earlier(wanted: JobRequest) -> EarlierImages | None:
    if wanted.known is None:
        return None
    runs = [Run(run.place, run.first, run.number) for run in wanted.known.runs]
    return EarlierImages(wanted.known.job, runs)


def _take_over(desk: Desk, job: Job, earlier: EarlierImages) -> Job:
    """Add an earlier job's images to a job that was made without them; cancel it if that fails."""
    settings, tenant_id = desk.services.settings, desk.tenant_id
    try:
        with desk.transaction() as session:
            key = key_of_heads(current_key(session, settings), job.heads, settings)
            grown = take_over(session, job.id, earlier, tenant_id=tenant_id, key=key)
            check_image_quota(session, settings, tenant_id=tenant_id, images=0)
            return grown
    except (JobStateConflict, QuotaReached):
        with suppress(JobStateConflict), desk.transaction() as session:
            jobs.cancel_job(session, job.id, tenant_id=tenant_id)
        raise


def read_wish(wanted: WantedJob, settings: Settings) -> LabelWish:
    """Return what a request wants labelled and kept; raises RequestInvalid for what is not offered.

    The attributes are written down, so that they are those of this moment in every result.
    """
    faults = []
    allowed = ", ".join(settings.heads) or "none"
    for index, head in enumerate(wanted.heads or ()):
        if head not in settings.heads:
            message = f"this service labels {allowed} (FACETAG_HEADS)"
            faults.append({"loc": ["body", "heads", index], "message": message})
    if settings.purposes and wanted.purpose not in settings.purposes:
        message = f"state one of: {', '.join(settings.purposes)} (FACETAG_PURPOSES)"
        faults.append({"loc": ["body", "purpose"], "message": message})
    if faults:
        raise RequestInvalid(count_faults(len(faults)), faults)
    heads = settings.heads if wanted.heads is None else wanted.heads
    ordered = tuple(name for name in HEADS_BY_NAME if name in heads)
    return LabelWish(
        ordered, wanted.store == "aggregate", wanted.purpose, keep_photos=wanted.store == "photos"
    )


def _check_open_jobs(session: Session, desk: Desk) -> None:
    """Raise QuotaReached if the tenant has too many open jobs already to open one again."""
    check_quota(session, desk.services.settings, tenant_id=desk.tenant_id, images=0)


def _erase(desk: Desk, job_id: uuid.UUID) -> None:
    # What fails here is left to the sweeper.
    try:
        work_off(desk.services.sessions, desk.services.storage, job_id=job_id)
    except DatabaseUnavailable as error:
        log.warning("erasure_put_off", job_id=str(job_id), reason=str(error))


def _ring(desk: Desk, job: Job) -> None:
    # Runs after the answer, which must not wait for Redis. If it fails, the sweeper rings again.
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
