"""Delete jobs and photos with all that was found in them, for good."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence

from sqlalchemy import ARRAY, Integer, delete, exists, func, literal, select, update
from sqlalchemy.orm import Session

from facetag.access.audit import record
from facetag.db.engine import allow_long_statements
from facetag.db.tables import Image, ImageState, Job
from facetag.erasure.deleted_jobs import erase_rows
from facetag.erasure.tombstones import bury
from facetag.erasure.upload_promises import break_promises, break_promises_of_job
from facetag.jobs.duplicate_marks import mark_duplicates
from facetag.jobs.lifecycle import delete_job
from facetag.jobs.queries import find_needed
from facetag.storage.object_keys import thumbnail_key

ENDED = (ImageState.TAGGED, ImageState.NO_FACE, ImageState.FAILED, ImageState.CANCELLED)
ERASED_S = 1.0
"""A deletion is answered after about this time, of a job of any size."""
_NO_SYNC = {"synchronize_session": False}


def purge_job(
    session: Session,
    job_id: uuid.UUID,
    *,
    tenant_id: str,
    bucket: str,
    actor: str,
    within_s: float = ERASED_S,
    breaks_promises: bool = True,
) -> int:
    """Delete a finished job with its results, and write down its objects; return its size.

    Nobody sees the job from now on. What cannot be deleted `within_s`, however slow the machine, is
    left to the sweeper. Photos that were promised to a job go, too, unless `breaks_promises` is
    false. Raises JobNotFound, and JobStateConflict while an image may run.
    """
    number = delete_job(session, job_id, tenant_id=tenant_id).total or 0
    if breaks_promises:
        break_promises_of_job(session, job_id, bucket=bucket)
    erase_rows(session, job_id, bucket=bucket, within_s=within_s)
    record(session, "job deleted", tenant_id=tenant_id, actor=actor, subject=job_id, number=number)
    return number


def purge_photos(
    session: Session, contents: Sequence[bytes], *, tenant_id: str, bucket: str, actor: str
) -> int:
    """Delete photos by the SHA-256 of their bytes from all jobs of a tenant; return how many.

    Their results, thumbnails and objects go too, even promised ones. Photos that a worker is at
    work on, or that wait, stay: call this again when their job has ended.
    """
    allow_long_statements(session)
    rows = _delete_ended(session, contents, tenant_id=tenant_id)
    purge_id = uuid.uuid4()
    of_job: dict[uuid.UUID, list[Image]] = defaultdict(list)
    for row in rows:
        of_job[row.job_id].append(row)
    # As everywhere: first the images, then the jobs' rows by ascending id.
    for job_id in sorted(of_job):
        _take_out(session, job_id, of_job[job_id])
    break_promises(session, [row.key for row in rows], tenant_id=tenant_id)
    needed = find_needed(session, [row.key for row in rows], bucket=bucket)
    keys = set()
    for row in rows:
        named = select(Image.id).where(Image.bucket == row.bucket, Image.key == row.key)
        if session.scalar(named.limit(1)) is None:
            keys |= {thumbnail_key(tenant_id, row.bucket, row.key)}
        if row.bucket == bucket and row.key not in needed:
            keys |= {row.key}
    bury(session, sorted(keys), tenant_id=tenant_id, job_id=purge_id)
    record(
        session,
        "photos purged",
        tenant_id=tenant_id,
        actor=actor,
        subject=purge_id,
        number=len(rows),
    )
    return len(rows)


def _delete_ended(session: Session, contents: Sequence[bytes], *, tenant_id: str) -> list[Image]:
    """Delete the ended images with these contents, with all copies of them, and return them.

    Whoever copies the result of one holds its row (`facetag.jobs.reuse`): once that is free, the
    copy is there for the next turn. What is held here is copied no more.
    """
    gone: list[Image] = []
    ended = (
        select(Image)
        .where(Image.tenant_id == tenant_id, Image.content.in_(contents), Image.state.in_(ENDED))
        .order_by(Image.id)
        .with_for_update()
    )
    while rows := session.scalars(ended).all():
        session.execute(
            delete(Image).where(Image.id.in_([row.id for row in rows])), execution_options=_NO_SYNC
        )
        gone += rows
    return gone


def _take_out(session: Session, job_id: uuid.UUID, gone: Sequence[Image]) -> None:
    """Lower a job's counts by its deleted images; those that repeated one of them are marked anew.

    A job that has not ended is marked when it ends.
    """
    states = Counter(row.state for row in gone)
    reused = Counter(row.state for row in gone if row.reused_from is not None)
    job = session.scalar(
        update(Job)
        .where(Job.id == job_id)
        .values(
            {state: getattr(Job, state) - number for state, number in states.items()}
            | {"total": Job.total - len(gone), "reused": Job.reused - reused.total()}
        )
        .returning(Job),
        execution_options=_NO_SYNC | {"populate_existing": True},
    )
    if job is None:
        return
    if job.known is not None:
        # Those whose result came later are not told apart.
        job.known = {state: max(0, known - reused[state]) for state, known in job.known.items()}
    if job.finished_at is not None and _has_repeats(session, job_id, gone):
        mark_duplicates(session, job_id)


def _has_repeats(session: Session, job_id: uuid.UUID, gone: Sequence[Image]) -> bool:
    """Return whether images of a job are marked as repetitions of its deleted images.

    To compare all photos of a large job takes much longer.
    """
    positions = literal([row.position for row in gone], ARRAY(Integer))
    repeats = exists().where(Image.job_id == job_id, Image.duplicate_of == func.any(positions))
    return bool(session.scalar(select(repeats)))
