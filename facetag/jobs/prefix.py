"""Find the images below a prefix, and fill a job with them, page by page, while a worker lists."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import PurePosixPath

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from facetag.db.tables import Image, ImageState, Job, JobState
from facetag.image_formats import IMAGE_SUFFIXES
from facetag.jobs.counts import close_job_if_done
from facetag.jobs.job_creation import add_images
from facetag.jobs.new_image import NewImage
from facetag.storage.client import ListedObject, content_of_object
from facetag.storage.object_keys import content_of_key


def images_among(
    listed: Sequence[ListedObject], bucket: str, prefix: str, *, tenant_id: str | None
) -> list[NewImage]:
    """Return the objects that have an image suffix; each is named by its path below the prefix.

    `tenant_id` is given for our own bucket, whose keys may state the SHA-256 of their bytes.
    """
    folder = prefix[: prefix.rfind("/") + 1]
    return [
        NewImage(
            one.key,
            one.key.removeprefix(folder),
            bucket,
            (tenant_id and content_of_key(tenant_id, one.key)) or content_of_object(bucket, one),
        )
        for one in listed
        if PurePosixPath(one.key).suffix.lower() in IMAGE_SUFFIXES
    ]


def append_listed_images(
    session: Session,
    job_id: uuid.UUID,
    images: Sequence[NewImage],
    *,
    after: str | None,
    cursor: str | None,
    labelling_key: bytes | None = None,
) -> bool:
    """Append a page of the listing that began after `after` and ended at `cursor`.

    Images whose result is known under `labelling_key` are finished at once, if the job reuses any.

    Returns False, and changes nothing, if the job is no longer being listed (it was cancelled or
    deleted) or another worker appended this page: the caller then stops listing. With the last page
    `cursor` is None and the job's cursor stays: call `finish_listing` in the same transaction.
    """
    job = _lock_listed(session, job_id)
    if job is None or job.listing_cursor != after:
        return False
    if job.aggregate is not None:
        images = [replace(image, content=None) for image in images]
    known = add_images(
        session,
        job_id,
        tenant_id=job.tenant_id,
        images=images,
        places=count(_next_place(session, job_id)),
        labelling_key=labelling_key if job.reuse else None,
    )
    job.queued += len(images) - known.total()
    job.tagged += known[ImageState.TAGGED]
    job.no_face += known[ImageState.NO_FACE]
    job.reused += known.total()
    if cursor is not None:
        job.listing_cursor = cursor
    session.flush()
    return True


def finish_listing(session: Session, job_id: uuid.UUID) -> Job | None:
    """End the listing: set the total and let the images be claimed.

    Returns the job, or None if it is no longer being listed. A job without images is closed.
    """
    job = _lock_listed(session, job_id)
    if job is None:
        return None
    job.total = _counted(job)
    job.state = JobState.QUEUED
    # Without a cursor, a resumed job is known to be listed.
    job.listing_cursor = None
    session.flush()
    close_job_if_done(session, job_id)
    return job


def fail_listing(session: Session, job_id: uuid.UUID, error: str) -> None:
    """Close a job whose prefix cannot be listed, with the reason; a retry lists it again."""
    # A cancel or a purge may hold some of the images, and waits for the job's row then.
    is_listed = select(Job.id).where(Job.id == job_id, Job.state == JobState.LISTING).exists()
    held = select(Image.id).where(Image.job_id == job_id, is_listed).order_by(Image.id)
    session.execute(select(func.count()).select_from(held.with_for_update().subquery()))
    if _lock_listed(session, job_id) is None:
        return
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
                "reused": 0,
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


def _next_place(session: Session, job_id: uuid.UUID) -> int:
    """Return the position after the job's last image; after a purge, it is not the number of them.

    The caller holds the job's row.
    """
    last = session.scalar(select(func.max(Image.position)).where(Image.job_id == job_id))
    return 0 if last is None else last + 1


def _counted(job: Job) -> int:
    return sum(getattr(job, state.value) for state in ImageState)
