"""Delete what nobody asked to keep: results past their time, and uploads that no job took."""

import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

import structlog
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from facetag.access.audit import SWEEPER, record
from facetag.db.engine import allow_long_statements, transaction
from facetag.db.tables import Image, ImageState, Job
from facetag.erasure.deleted_jobs import BATCH, ROUND_S
from facetag.erasure.purge import purge_job
from facetag.erasure.tombstones import bury, is_to_be_forgotten, work_off
from facetag.errors import JobNotFound, JobStateConflict, ObjectMissing, StorageUnavailable
from facetag.jobs.queries import PHOTO_GRACE, UPLOAD_GRACE, find_needed
from facetag.settings import Settings
from facetag.storage.client import Storage
from facetag.storage.object_keys import thumbnail_key

JOBS_A_ROUND = 10
REST = timedelta(hours=1)
"""Pause between two walks through all uploads."""

log = structlog.get_logger(__name__)


def expire_jobs(sessions: sessionmaker[Session], settings: Settings, *, bucket: str) -> int:
    """Delete jobs that ended more than `retention_days` ago; return how many.

    Photos that were promised to another job stay until the promise ends.
    """
    if not settings.retention_days:
        return 0
    before = func.now() - timedelta(days=settings.retention_days)
    with transaction(sessions) as session:
        found = session.execute(
            select(Job.id, Job.tenant_id)
            .where(Job.finished_at < before, Job.deleted_at.is_(None))
            .limit(JOBS_A_ROUND)
        ).all()
    expired = 0
    for job_id, tenant_id in found:
        try:
            with transaction(sessions) as session:
                purge_job(
                    session,
                    job_id,
                    tenant_id=tenant_id,
                    bucket=bucket,
                    actor=SWEEPER,
                    breaks_promises=False,
                )
        except (JobNotFound, JobStateConflict):
            continue
        expired += 1
    return expired


def forget_counted(sessions: sessionmaker[Session], *, bucket: str) -> int:
    """Delete photos and names of ended jobs that keep counts only; return how many.

    What takes longer than ROUND_S is left to the next call.
    """
    until = time.monotonic() + ROUND_S
    with transaction(sessions) as session:
        found = session.execute(
            select(Job.id, Job.tenant_id).where(is_to_be_forgotten()).limit(JOBS_A_ROUND)
        ).all()
    forgotten = 0
    for job_id, tenant_id in found:
        with transaction(sessions) as session:
            number = _forget(session, job_id, tenant_id, bucket=bucket, until=until)
            record(
                session,
                "photos forgotten",
                tenant_id=tenant_id,
                actor=SWEEPER,
                subject=job_id,
                number=number,
            )
        forgotten += number
        if time.monotonic() >= until:
            break
    return forgotten


def _forget(
    session: Session, job_id: uuid.UUID, tenant_id: str, *, bucket: str, until: float
) -> int:
    """Delete a job's images until this time of `time.monotonic()`; return how many."""
    number = 0
    next_ones = select(Image.id).where(Image.job_id == job_id).limit(BATCH)
    while ids := session.scalars(next_ones).all():
        rows = session.execute(
            delete(Image).where(Image.id.in_(ids)).returning(Image.bucket, Image.key)
        ).all()
        keys = {row.key for row in rows if row.bucket == bucket}
        bury(session, sorted(keys), tenant_id=tenant_id, job_id=job_id)
        number += len(rows)
        if time.monotonic() >= until:
            break
    return number


def give_up_photos(sessions: sessionmaker[Session], *, bucket: str) -> int:
    """Delete the labelled photos of ended jobs that do not keep them; return how many.

    Photos that failed or were cancelled stay as long as their job, which may be retried or resumed.
    After ROUND_S no job is begun.
    """
    until = time.monotonic() + ROUND_S
    with transaction(sessions) as session:
        found = session.execute(
            select(Job.id, Job.tenant_id)
            .where(
                ~Job.keep_photos,
                Job.deleted_at.is_(None),
                Job.finished_at < func.now() - PHOTO_GRACE,
                or_(Job.photos_deleted_at.is_(None), Job.photos_deleted_at < Job.finished_at),
            )
            .limit(JOBS_A_ROUND)
        ).all()
    number = 0
    for one in found:
        number += _give_up(sessions, *one, bucket=bucket)
        if time.monotonic() >= until:
            break
    return number


def _give_up(
    sessions: sessionmaker[Session], job_id: uuid.UUID, tenant_id: str, *, bucket: str
) -> int:
    labelled = (ImageState.TAGGED, ImageState.NO_FACE)
    with transaction(sessions) as session:
        allow_long_statements(session)
        changed = session.scalar(
            update(Job)
            .where(Job.id == job_id, Job.finished_at < func.now() - PHOTO_GRACE)
            .values(photos_deleted_at=func.now())
            .returning(Job.id),
            execution_options={"synchronize_session": False},
        )
        if changed is None:
            return 0
        query = select(Image.key).where(
            Image.job_id == job_id, Image.bucket == bucket, Image.state.in_(labelled)
        )
        number = bury(
            session, session.scalars(query.distinct()).all(), tenant_id=tenant_id, job_id=job_id
        )
        if number:
            record(
                session,
                "photos given up",
                tenant_id=tenant_id,
                actor=SWEEPER,
                subject=job_id,
                number=number,
            )
    return number


class OrphanWalk:
    """Walk through all uploads, a page per call, and delete those that no job needs."""

    def __init__(self) -> None:
        self._cursor: str | None = None
        self._rests_until = datetime.now(UTC)

    def step(self, sessions: sessionmaker[Session], storage: Storage) -> int:
        """Look at the next page; return how many uploads expired."""
        now = datetime.now(UTC)
        if now < self._rests_until:
            return 0
        try:
            page, self._cursor = storage.list_prefix(storage.bucket, "tenants/", self._cursor)
        except (ObjectMissing, StorageUnavailable) as error:
            log.warning("orphans_put_off", reason=str(error))
            return 0
        if self._cursor is None:
            self._rests_until = now + REST
        old = [item.key for item in page if item.modified < now - UPLOAD_GRACE]
        return _delete_orphans(sessions, storage, old)


def _delete_orphans(sessions: sessionmaker[Session], storage: Storage, keys: Sequence[str]) -> int:
    """Write tombstones for uploads that no job needs and work them off; return how many expired.

    Thumbnails go with them: a deletion may have left one for a photo that was to be sent again.
    Whoever is told meanwhile that such a photo is there waits for its tombstone or takes it back.
    """
    uploads = [key for key in keys if key.split("/")[2:3] == ["images"]]
    walk_id = uuid.uuid4()
    with transaction(sessions) as session:
        needed = find_needed(session, uploads, bucket=storage.bucket)
        orphans = [key for key in uploads if key not in needed]
        for tenant_id, mine in groupby(sorted(orphans), key=lambda key: key.split("/")[1]):
            photos = list(mine)
            thumbnails = [thumbnail_key(tenant_id, storage.bucket, key) for key in photos]
            bury(session, [*photos, *thumbnails], tenant_id=tenant_id, job_id=walk_id)
            record(
                session,
                "uploads expired",
                tenant_id=tenant_id,
                actor=SWEEPER,
                subject=walk_id,
                number=len(photos),
            )
    if orphans:
        work_off(sessions, storage, job_id=walk_id)
    return len(orphans)
