"""Create a job and its images in one transaction, once per idempotency key."""

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from psycopg import Connection
from sqlalchemy import SmallInteger, func, literal, literal_column, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from facetag.db.engine import allow_long_statements
from facetag.db.tables import Image, ImageState, Job, JobState
from facetag.errors import IdempotencyConflict, JobStateConflict
from facetag.jobs.aggregates import require_results
from facetag.jobs.counts import close_job_if_done
from facetag.jobs.new_image import ANY_LABELS, LabelWish, NewImage
from facetag.jobs.queries import get_job
from facetag.jobs.reuse.identical_images import PLACE, WAITING
from facetag.jobs.reuse.known_results import add_known, find_known


def create_job(
    session: Session,
    *,
    tenant_id: str,
    images: Sequence[NewImage],
    name: str | None = None,
    priority: int = 0,
    idempotency_key: str | None = None,
    request_sha256: str | None = None,
    reuse: bool = True,
    labelling_key: bytes | None = None,
    wish: LabelWish = ANY_LABELS,
    places: Iterable[int] | None = None,
) -> tuple[Job, bool]:
    """Create a job of these images, in this order; return it and whether it is new.

    They stand at these ascending `places`, by default one after the other. Images whose content was
    labelled under `labelling_key` are finished at once with that result, unless `reuse` is false. A
    second call with the same idempotency key returns the first call's job, and waits if the first
    has not committed yet. Raises IdempotencyConflict if `request_sha256` differs.
    """
    total = len(images)
    images = [wish.without_content(image) for image in images]
    reuse = reuse and not wish.counts_only
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
        reuse=reuse,
        **wish.columns(),
    )
    if created:
        known = add_images(
            session,
            job.id,
            tenant_id=tenant_id,
            images=images,
            places=count() if places is None else places,
            labelling_key=labelling_key if reuse else None,
        )
        if known:
            job.known = {state.value: number for state, number in known.items()}
            job.reused = known.total()
            job.queued -= known.total()
            job.tagged, job.no_face = known[ImageState.TAGGED], known[ImageState.NO_FACE]
            session.flush()
        if not job.queued:
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
    reuse: bool = True,
    wish: LabelWish = ANY_LABELS,
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
        reuse=reuse and not wish.counts_only,
        **wish.columns(),
    )


def retag_job(session: Session, job_id: uuid.UUID, *, tenant_id: str) -> Job:
    """Create a job that labels the same images again in the same order, and return it.

    Raises JobNotFound, and JobStateConflict while the old job is not finished, or if its photos
    are deleted.
    """
    allow_long_statements(session)
    old = get_job(session, job_id, tenant_id=tenant_id)
    if old.photos_deleted_at is not None:
        raise JobStateConflict(
            "The job's photos were deleted after it had ended. Send them again as a new job, with "
            "`store` `photos` if they shall stay."
        )
    if old.finished_at is None:
        raise JobStateConflict(f"The job is {old.state} and not finished: wait until it is.")
    require_results(old)
    new = Job(
        id=uuid.uuid4(),
        tenant_id=tenant_id,
        state=JobState.QUEUED.value,
        name=old.name,
        priority=0,
        reuse=False,
        heads=old.heads,
        purpose=old.purpose,
        keep_photos=old.keep_photos,
    )
    session.add(new)
    session.flush()
    images = select(
        literal(tenant_id),
        literal(new.id),
        Image.position,
        Image.bucket,
        Image.key,
        Image.name,
        Image.content,
        literal_column(PLACE, SmallInteger()),
    ).where(Image.job_id == job_id)
    columns = ["tenant_id", "job_id", "position", "bucket", "key", "name", "content", "suspicion"]
    copied = session.execute(
        insert(Image).from_select(columns, images),
        # SQLAlchemy forgets it of an INSERT.
        execution_options={"preserve_rowcount": True},
    )
    # A purge may have taken images from the old job since its total was read.
    new.total = new.queued = copied.rowcount  # type: ignore[attr-defined]
    session.flush()
    if not new.total:
        close_job_if_done(session, new.id)
    return get_job(session, new.id, tenant_id=tenant_id)


def add_images(
    session: Session,
    job_id: uuid.UUID,
    *,
    tenant_id: str,
    images: Sequence[NewImage],
    places: Iterable[int],
    labelling_key: bytes | None,
) -> Counter[ImageState]:
    """Write images at these places, finished where their result is known, else queued.

    Returns how many were finished at once, by state. Without a labelling key, none is.
    """
    contents = {image.content for image in images if image.content is not None}
    sources: dict[bytes, int] = {}
    if labelling_key is not None and contents:
        sources = find_known(session, contents, tenant_id=tenant_id, key=labelling_key)
    placed = list(zip(places, images, strict=False))
    known = add_known(
        session,
        job_id,
        [
            (position, image, sources[image.content])
            for position, image in placed
            if image.content in sources
        ],
        key=labelling_key or b"",
    )
    unknown = [(position, image) for position, image in placed if position not in known]
    _copy_images(session, job_id, tenant_id=tenant_id, images=unknown)
    return Counter(known.values())


def _copy_images(
    session: Session, job_id: uuid.UUID, *, tenant_id: str, images: Iterable[tuple[int, NewImage]]
) -> None:
    """Write images as queued rows by COPY, which is many times faster than INSERT."""
    raw = session.connection().connection.driver_connection
    if not isinstance(raw, Connection):
        raise TypeError("images are copied over a psycopg 3 connection")
    columns = "tenant_id, job_id, position, bucket, key, name, content, suspicion"
    met: set[bytes] = set()
    with raw.cursor() as cursor, cursor.copy(f"COPY images ({columns}) FROM STDIN") as copy:
        for position, image in images:
            content = image.content
            suspicion = WAITING if content in met else 0
            if content is not None:
                met.add(content)
            copy.write_row(
                (
                    tenant_id,
                    job_id,
                    position,
                    image.bucket,
                    image.key,
                    image.name,
                    content,
                    suspicion,
                )
            )


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
