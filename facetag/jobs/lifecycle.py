"""Cancel or resume a job, retry its failed images, or delete it, as users ask.

`end_all_leases` is for a database that has just been started again.
"""

import time
import uuid
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from facetag.db.engine import allow_long_statements
from facetag.db.tables import TERMINAL_JOB_STATES, Image, ImageState, Job, JobState
from facetag.errors import JobStateConflict
from facetag.jobs.aggregates import require_results
from facetag.jobs.counts import CANCELLED_AT_ONCE, cancel_queued_images, close_job_if_done
from facetag.jobs.queries import get_job
from facetag.jobs.reuse.identical_images import hold_twins

CANCEL_S = 1.0
"""A cancel is answered after about this time, of a job of any size."""
CLOSED_AT_ONCE = 20_000
"""Labelled images of a job that a cancel closes; to compare more for duplicates takes seconds."""
RETRIED_STATES = (JobState.COMPLETED_WITH_ERRORS, JobState.FAILED)

_NO_SYNC = {"synchronize_session": False}


def cancel_job(
    session: Session,
    job_id: uuid.UUID,
    *,
    tenant_id: str,
    within_s: float = CANCEL_S,
    compared: int = CLOSED_AT_ONCE,
) -> Job:
    """Cancel the queued images of a job; running ones are finished, finished ones stay.

    The job is `cancelled` at once, and none of its images is claimed any more. What cannot be
    cancelled `within_s`, however slow the machine, is left to the sweeper. So is closing a job of
    which more than `compared` images are labelled. `finished_at` is set when it is closed.
    Cancelling a cancelled job changes nothing. Raises JobNotFound, and JobStateConflict for a
    finished job.
    """
    job = get_job(session, job_id, tenant_id=tenant_id)
    if job.state == JobState.CANCELLED:
        return job
    until, cancelled, is_over = time.monotonic() + within_s, 0, False
    while not is_over:
        batch = cancel_queued_images(session, job_id, at_most=CANCELLED_AT_ONCE)
        cancelled += batch
        is_over = batch < CANCELLED_AT_ONCE or time.monotonic() >= until
    counted = sum((getattr(Job, state.value) for state in ImageState), start=0)
    changed = session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.state.not_in(TERMINAL_JOB_STATES))
        .values(
            state=JobState.CANCELLED,
            queued=Job.queued - cancelled,
            cancelled=Job.cancelled + cancelled,
            total=func.coalesce(Job.total, counted),
        )
        .returning(Job.id),
        execution_options=_NO_SYNC,
    )
    if changed is None:
        job = get_job(session, job_id, tenant_id=tenant_id)
        if job.state != JobState.CANCELLED:
            raise JobStateConflict(f"The job is {job.state} already: there is nothing to cancel.")
        return job
    if batch < CANCELLED_AT_ONCE and job.tagged + job.no_face <= compared:
        # This includes images that a listing or a worker queued since the first statement.
        close_job_if_done(session, job_id)
    return get_job(session, job_id, tenant_id=tenant_id)


def retry_job(session: Session, job_id: uuid.UUID, *, tenant_id: str) -> Job:
    """Queue the failed images of a finished job again, as if they had never been tried.

    If its prefix could not be listed, the job is in state `listing` again: ring the listing.
    Raises JobNotFound, and JobStateConflict if the job runs, was cancelled, or nothing failed.
    """
    allow_long_statements(session)
    job = get_job(session, job_id, tenant_id=tenant_id)
    require_results(job)
    queued = _queue_again(session, job_id, ImageState.FAILED)
    relisted = queued == 0 and job.source_prefix is not None and job.error is not None
    reopened = _reopen(
        session,
        Job.id == job_id,
        Job.state.in_(RETRIED_STATES),
        relisted=relisted,
        queued=Job.queued + queued,
        failed=Job.failed - queued,
        error=None,
    )
    if not reopened or not (queued or relisted):
        raise JobStateConflict(
            f"The job is {job.state}: only a finished job with failed images can be retried."
        )
    return get_job(session, job_id, tenant_id=tenant_id)


def resume_job(session: Session, job_id: uuid.UUID, *, tenant_id: str) -> Job:
    """Queue the cancelled images of a cancelled job again; its results stay.

    If its prefix was not listed to the end, the job is in state `listing` again: ring the listing.
    Raises JobNotFound, and JobStateConflict if the job was not cancelled, or if workers still hold
    images of it.
    """
    allow_long_statements(session)
    job = get_job(session, job_id, tenant_id=tenant_id)
    require_results(job)
    # Images of a job that is being listed are not claimed, so such a job has not been started.
    relisted = (
        job.source_prefix is not None
        and job.started_at is None
        and (job.listing_cursor is not None or not job.total)
    )
    queued = _queue_again(session, job_id, ImageState.CANCELLED)
    reopened = _reopen(
        session,
        Job.id == job_id,
        Job.state == JobState.CANCELLED,
        Job.finished_at.is_not(None),
        relisted=relisted,
        queued=Job.queued + queued,
        cancelled=Job.cancelled - queued,
    )
    if not reopened:
        raise JobStateConflict(
            "Workers still finish images of the job: try again in a few seconds."
            if job.state == JobState.CANCELLED
            else f"The job is {job.state}: only a cancelled job can be resumed."
        )
    close_job_if_done(session, job_id)
    return get_job(session, job_id, tenant_id=tenant_id)


def delete_job(session: Session, job_id: uuid.UUID, *, tenant_id: str) -> Job:
    """Take a finished job from everybody's sight, and return it as it was.

    Nobody finds the job or a result of it any more. Its rows stay until `drop_job`, as a million of
    them are not deleted in an instant. Raises JobNotFound, and JobStateConflict while an image may
    run.
    """
    job = get_job(session, job_id, tenant_id=tenant_id)
    if job.finished_at is None:
        raise JobStateConflict(
            f"The job is {job.state} and not finished: cancel it, and delete it when it has ended."
        )
    gone = session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.finished_at.is_not(None), Job.deleted_at.is_(None))
        # Its idempotency key is free again.
        .values(deleted_at=func.now(), idempotency_key=None)
        .returning(Job.id),
        execution_options=_NO_SYNC,
    )
    if gone is None:
        raise JobStateConflict(
            "Somebody else has retried or deleted the job meanwhile: look at it again."
        )
    return job


def drop_job(session: Session, job_id: uuid.UUID) -> None:
    """Delete the row of a deleted job, and all rows that are left of its images and faces."""
    session.execute(
        delete(Job).where(Job.id == job_id, Job.deleted_at.is_not(None)),
        execution_options=_NO_SYNC,
    )


def _reopen(
    session: Session, *conditions: ColumnElement[bool], relisted: bool, **values: Any
) -> bool:
    """Return whether a job met the conditions: it then runs or is listed again, with `values`."""
    changed = session.scalar(
        update(Job)
        .where(*conditions, Job.deleted_at.is_(None))
        .values(
            state=JobState.LISTING if relisted else JobState.RUNNING,
            total=None if relisted else Job.total,
            rung_at=None,
            finished_at=None,
            **values,
        )
        .returning(Job.id),
        execution_options=_NO_SYNC,
    )
    return changed is not None


def _queue_again(session: Session, job_id: uuid.UUID, state: ImageState) -> int:
    """Queue the job's images in this state as if they had never been tried; return how many."""
    ended = (
        select(Image.id)
        .where(Image.job_id == job_id, Image.state == state)
        .order_by(Image.id)
        .with_for_update()
    )
    forgotten = (
        "claim_token",
        "claimed_by",
        "lease_until",
        "started_at",
        "not_before",
        "error_code",
        "error_message",
        "width",
        "height",
        "model_version",
        "stage_ms",
        "finished_at",
    )
    queued = session.execute(
        update(Image)
        .where(Image.id.in_(ended.scalar_subquery()))
        .values(
            {"state": ImageState.QUEUED, "suspicion": 0, "releases": 0} | dict.fromkeys(forgotten)
        ),
        execution_options=_NO_SYNC,
    )
    hold_twins(session, job_id)
    return int(queued.rowcount)  # type: ignore[attr-defined]


def end_all_leases(session: Session) -> int:
    """End the leases of all workers, as they died with their database; return the images held.

    The sweeper then handles these images as those of any expired lease.
    """
    running = update(Image).where(Image.state == ImageState.RUNNING)
    ended = running.values(lease_until=func.now()).returning(Image.id)
    return len(session.scalars(ended, execution_options=_NO_SYNC).all())
