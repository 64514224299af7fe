"""Jobs that are given as a prefix: their images come page by page, as a worker lists them."""

import uuid
from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from facetag.db.tables import Image, ImageState, Job, JobState
from facetag.jobs.counts import close_job_if_done
from facetag.jobs.create import NewImage, copy_images


def append_listed_images(
    session: Session,
    job_id: uuid.UUID,
    images: Sequence[NewImage],
    *,
    after: str | None,
    cursor: str | None,
) -> bool:
    """Append a page of the listing that began after `after` and ended at `cursor`.

    Returns False, and does nothing, where the job is no longer being listed (cancelled, deleted)
    or somebody else has appended this page: the caller then stops listing. `cursor` None leaves
    the job's cursor as it is (the last page: call `finish_listing` in the same transaction).
    """
    job = _lock_listed(session, job_id)
    if job is None or job.listing_cursor != after:
        return False
    copy_images(
        session, job_id, tenant_id=job.tenant_id, images=images, first_position=_counted(job)
    )
    job.queued += len(images)
    if cursor is not None:
        job.listing_cursor = cursor
    session.flush()
    return True


def finish_listing(session: Session, job_id: uuid.UUID) -> Job | None:
    """End the listing: the total is known now, and the images may be claimed.

    Returns the job, which is closed at once where nothing was found; None where the job is no
    longer being listed.
    """
    job = _lock_listed(session, job_id)
    if job is None:
        return None
    job.total = _counted(job)
    job.state = JobState.QUEUED
    session.flush()
    close_job_if_done(session, job_id)
    return job


def fail_listing(session: Session, job_id: uuid.UUID, error: str) -> None:
    """Close a job whose prefix cannot be listed, with the reason; a retry lists it anew."""
    job = _lock_listed(session, job_id)
    if job is None:
        return
    # Nothing claims the images of a job that is being listed, so nobody holds these rows.
    session.execute(delete(Image).where(Image.job_id == job_id))
    session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(
            {state.value: 0 for state in ImageState}
            | {
                "state": JobState.FAILED,
                "error": error,
                "total": 0,
                "listing_cursor": None,
                "finished_at": func.clock_timestamp(),
            }
        )
    )


def _lock_listed(session: Session, job_id: uuid.UUID) -> Job | None:
    return session.scalar(
        select(Job)
        .where(Job.id == job_id, Job.state == JobState.LISTING)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _counted(job: Job) -> int:
    return sum(getattr(job, state.value) for state in ImageState)
