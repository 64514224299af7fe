"""Read a job by its id, a page of jobs, the newest first, or which photos jobs still need."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Text,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.orm import Session

from facetag.db.tables import Image, ImageState, Job, UploadPromise
from facetag.errors import CursorInvalid, ErrorCode, ImageNotFound, JobNotFound
from facetag.jobs.cursors import decode_cursor, encode_cursor

# An image of negative suspicion waits for its twin (facetag.jobs.reuse.identical_images).
CLAIMABLE = "state = 'queued' AND suspicion >= 0 AND (not_before IS NULL OR not_before <= now())"

# The order is that of the index. Without it, or with EXISTS, PostgreSQL may expect a claimable row
# soon and scan the table from its start, for seconds past half a million finished rows.
HAS_CLAIMABLE = f"""(
    SELECT true FROM images WHERE job_id = jobs.id AND {CLAIMABLE}
    ORDER BY suspicion, position LIMIT 1
)"""  # noqa: S608 - built from the constant above

ID_DIGITS = 32
"""Hexadecimal digits of a job's id."""

PHOTO_GRACE = timedelta(hours=1)
"""How long photos stay after their job has ended: as long as a form for an upload is valid."""

UPLOAD_GRACE = timedelta(hours=24)
"""How long a photo stays for a job to come that must name it.

The time counts from its upload, and anew whenever a client is told that it is there.
"""


def get_job(session: Session, job_id: uuid.UUID, *, tenant_id: str) -> Job:
    """Return the job as it is in the database now; raises JobNotFound."""
    job = session.scalar(
        select(Job)
        .where(Job.id == job_id, Job.tenant_id == tenant_id, Job.deleted_at.is_(None))
        .execution_options(populate_existing=True)
    )
    if job is None:
        raise JobNotFound(f"There is no job {job_id}.")
    return job


def list_jobs(
    session: Session,
    *,
    tenant_id: str,
    cursor: str | None = None,
    limit: int = 50,
    id_prefix: str = "",
) -> tuple[list[Job], str | None]:
    """Return up to `limit` jobs, the newest first, and the cursor of the next page or None.

    With `id_prefix`, hexadecimal digits, only jobs whose id begins with it. Predictions, which are
    not kept, are left out. Raises CursorInvalid.
    """
    query = (
        select(Job)
        .where(Job.tenant_id == tenant_id, Job.priority == 0, Job.deleted_at.is_(None))
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(limit + 1)
    )
    if digits := id_prefix.replace("-", ""):
        if len(digits) > ID_DIGITS:
            return [], None
        low, high = (uuid.UUID(digits.ljust(ID_DIGITS, fill)) for fill in "0f")
        query = query.where(Job.id.between(low, high))
    if cursor is not None:
        query = query.where(tuple_(Job.created_at, Job.id) < tuple_(*_decode(cursor)))
    jobs = list(session.scalars(query))
    if len(jobs) <= limit:
        return jobs, None
    last = jobs[limit - 1]
    return jobs[:limit], encode_cursor(last.created_at.isoformat(), str(last.id))


def locate_image(
    session: Session, job_id: uuid.UUID, position: int, *, tenant_id: str
) -> tuple[str, str]:
    """Return bucket and key of an image of a job; raises ImageNotFound."""
    found = session.execute(
        select(Image.bucket, Image.key)
        .join(Job, Job.id == Image.job_id)
        .where(
            Image.job_id == job_id,
            Image.position == position,
            Image.tenant_id == tenant_id,
            Job.deleted_at.is_(None),
        )
    ).one_or_none()
    if found is None:
        raise ImageNotFound(f"The job {job_id} has no image at position {position}.")
    return found.bucket, found.key


def has_open_jobs(session: Session) -> bool:
    """Return whether any tenant has a job that has not ended."""
    return bool(session.scalar(select(exists().where(Job.finished_at.is_(None)))))


def _decode(cursor: str) -> tuple[datetime, uuid.UUID]:
    created_at, job_id = decode_cursor(cursor, str, str)
    try:
        return datetime.fromisoformat(str(created_at)), uuid.UUID(str(job_id))
    except ValueError as error:
        raise CursorInvalid from error


def needs_photo(image: Any, job: Any) -> ColumnElement[bool]:
    """Return the condition that an image's job needs its photo; both are entities or aliases."""
    return and_(
        job.deleted_at.is_(None),
        or_(
            job.finished_at.is_(None),
            job.finished_at > func.now() - PHOTO_GRACE,
            job.keep_photos,
            # It may be tried again.
            image.state.in_((ImageState.FAILED, ImageState.CANCELLED)),
        ),
    )


def is_among(column: Any, texts: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that a column is one of these texts, which travel as one array.

    A thousand of them as a list of their own would take longer to write than to find.
    """
    return column == func.any(literal(list(texts), ARRAY(Text)))  # type: ignore[no-any-return]


def keeps_photos(job: Any, *, retention_days: int) -> ColumnElement[bool]:
    """Return the condition that a job keeps its photos for UPLOAD_GRACE, or until it is deleted.

    Ended jobs are kept for `retention_days`; 0 for ever.
    """
    kept = and_(job.deleted_at.is_(None), job.keep_photos)
    if not retention_days:
        return kept
    early = job.finished_at > func.now() - (timedelta(days=retention_days) - UPLOAD_GRACE)
    return and_(kept, or_(job.finished_at.is_(None), early))


def find_needed(session: Session, keys: Sequence[str], *, bucket: str) -> set[str]:
    """Return those of these keys of our bucket that a job needs, or that are promised to one."""
    needed = (
        select(Image.key)
        .join(Job, Job.id == Image.job_id)
        .where(Image.bucket == bucket, is_among(Image.key, keys), needs_photo(Image, Job))
    )
    promised = select(UploadPromise.key).where(
        is_among(UploadPromise.key, keys), UploadPromise.until > func.now()
    )
    return set(session.scalars(union_all(needed, promised)))


def find_stored(
    session: Session, keys: Sequence[str], *, bucket: str, retention_days: int
) -> set[str]:
    """Return those of these keys of our bucket that are there for certain: nobody need ask for it.

    A worker read the photo, and a job keeps it. A photo that a worker missed is not among them.
    Ended jobs are kept for `retention_days`; 0 for ever.
    """
    kept = and_(Image.labelling_key.is_not(None), keeps_photos(Job, retention_days=retention_days))
    missed = Image.error_code == ErrorCode.OBJECT_MISSING.value
    query = (
        select(Image.key)
        .join(Job, Job.id == Image.job_id)
        .where(Image.bucket == bucket, is_among(Image.key, keys), Job.deleted_at.is_(None))
        .group_by(Image.key)
        .having(func.bool_or(kept), ~func.coalesce(func.bool_or(missed), False))
    )
    return set(session.scalars(query))
