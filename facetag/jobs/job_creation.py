"""Create a job and its images in one transaction, once per idempotency key."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from facetag.db.engine import allow_long_statements
from facetag.db.tables import Image, Job, JobState
from facetag.errors import IdempotencyConflict, JobStateConflict
from facetag.jobs.counts import close_job_if_done
from facetag.jobs.queries import get_job


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image to label: its bucket and key, and its name in the results.

    Raises ValueError for text that PostgreSQL cannot hold (a zero character, half a surrogate).
    """

    key: str
    name: str
    bucket: str

    def __post_init__(self) -> None:
        for text in (self.key, self.name, self.bucket):
            if "\0" in text:
                raise ValueError("names and keys must not hold the character U+0000")
            # A flag of the string, found without reading it: a job may have 200,000 strings.
            if text.isascii():
                continue
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise ValueError("names and keys must be valid Unicode") from error


def create_job(
    session: Session,
    *,
    tenant_id: str,
    images: Sequence[NewImage],
    name: str | None = None,
    priority: int = 0,
    idempotency_key: str | None = None,
    request_sha256: str | None = None,
) -> tuple[Job, bool]:
    """Create a job of these images, in this order; return it and whether it is new.

    A second call with the same idempotency key returns the first call's job, and waits if the
    first has not committed yet. Raises IdempotencyConflict if `request_sha256` differs.
    """
    total = len(images)
    job, created = _insert_job(
        session,
        tenant_id=tenant_id,
        idempotency_key=idempotency_key,
        request_sha256=request_sha256,
        state=JobState.QUEUED,
        name=name,
        priority=priority,
        total=total,
        queued=total,
    )
    if created:
        copy_images(session, job.id, tenant_id=tenant_id, images=images, first_position=0)
        if not images:
            close_job_if_done(session, job.id)
    return job, created


def create_prefix_job(
    session: Session,
    *,
    tenant_id: str,
    bucket: str,
    prefix: str,
    name: str | None = None,
    idempotency_key: str | None = None,
    request_sha256: str | None = None,
) -> tuple[Job, bool]:
    """Create a job whose images a worker finds by listing `prefix`; see `create_job`."""
    return _insert_job(
        session,
        tenant_id=tenant_id,
        idempotency_key=idempotency_key,
        request_sha256=request_sha256,
        state=JobState.LISTING,
        name=name,
        source_bucket=bucket,
        source_prefix=prefix,
    )


def retag_job(session: Session, job_id: uuid.UUID, *, tenant_id: str) -> Job:
    """Create a job of the same images in the same order, and return it.

    Raises JobNotFound, and JobStateConflict while the old job is not finished.
    """
    allow_long_statements(session)
    old = get_job(session, job_id, tenant_id=tenant_id)
    if old.finished_at is None:
        raise JobStateConflict(f"The job is {old.state} and not finished: wait until it is.")
    new = Job(
        id=uuid.uuid4(),
        tenant_id=tenant_id,
        state=JobState.QUEUED.value,
        name=old.name,
        priority=0,
        total=old.total or 0,
        queued=old.total or 0,
    )
    session.add(new)
    session.flush()
    images = select(
        literal(tenant_id), literal(new.id), Image.position, Image.bucket, Image.key, Image.name
    ).where(Image.job_id == job_id)
    columns = ["tenant_id", "job_id", "position", "bucket", "key", "name"]
    session.execute(insert(Image).from_select(columns, images))
    if not new.total:
        close_job_if_done(session, new.id)
    return get_job(session, new.id, tenant_id=tenant_id)


def copy_images(
    session: Session,
    job_id: uuid.UUID,
    *,
    tenant_id: str,
    images: Iterable[NewImage],
    first_position: int,
) -> None:
    """Write images as queued rows by COPY, which is many times faster than INSERT."""
    raw = session.connection().connection.driver_connection
    if not isinstance(raw, Connection):
        raise TypeError("images are copied over a psycopg 3 connection")
    statement = "COPY images (tenant_id, job_id, position, bucket, key, name) FROM STDIN"
    with raw.cursor() as cursor, cursor.copy(statement) as copy:
        for position, image in enumerate(images, start=first_position):
            copy.write_row((tenant_id, job_id, position, image.bucket, image.key, image.name))


def _insert_job(
    session: Session,
    *,
    tenant_id: str,
    idempotency_key: str | None,
    request_sha256: str | None,
    **values: Any,
) -> tuple[Job, bool]:
    inserted = session.scalar(
        insert(Job)
        .values(
            id=uuid.uuid4(),
            tenant_id=tenant_id,
            idempotency_key=idempotency_key,
            request_sha256=request_sha256,
            created_at=func.clock_timestamp(),
            **values,
        )
        # If another transaction is inserting the key, this waits for its end.
        .on_conflict_do_nothing(constraint="jobs_idempotency")
        .returning(Job.id)
    )
    if inserted is not None:
        return get_job(session, inserted, tenant_id=tenant_id), True
    first = session.scalar(
        select(Job).where(Job.tenant_id == tenant_id, Job.idempotency_key == idempotency_key)
    )
    if first is None:
        # The other job was deleted meanwhile, so the key is free.
        return _insert_job(
            session,
            tenant_id=tenant_id,
            idempotency_key=idempotency_key,
            request_sha256=request_sha256,
            **values,
        )
    if first.request_sha256 != request_sha256:
        raise IdempotencyConflict(
            "This Idempotency-Key was used with another request: use a new key."
        )
    return first, False
