"""Write down objects that must go, and delete them, however long object storage is away."""

import math
import time
import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta

import structlog
from psycopg import Connection
from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from facetag.access.audit import SWEEPER, record
from facetag.db.engine import transaction
from facetag.db.tables import AuditLine, Image, Job, Tombstone
from facetag.errors import StorageUnavailable
from facetag.jobs.queries import find_needed, is_among
from facetag.storage.client import Storage

BATCH = 1000
RETRY = timedelta(seconds=30)
_NO_SYNC = {"synchronize_session": False}

ERASING, ERASED = "erasing objects", "objects erased"
"""What the audit log says of a job's objects while some are left, and once the last one is gone."""

log = structlog.get_logger(__name__)


def bury(session: Session, keys: Iterable[str], *, tenant_id: str, job_id: uuid.UUID) -> int:
    """Write tombstones for objects of our bucket, in the transaction that forgets them."""
    raw = session.connection().connection.driver_connection
    if not isinstance(raw, Connection):
        raise TypeError("tombstones are copied over a psycopg 3 connection")
    written = 0
    statement = "COPY tombstones (tenant_id, job_id, key) FROM STDIN"
    with raw.cursor() as cursor, cursor.copy(statement) as copy:
        for key in keys:
            copy.write_row((tenant_id, job_id, key))
            written += 1
    return written


def spare(session: Session, keys: Sequence[str], *, tenant_id: str) -> None:
    """Take back the tombstones of objects that their tenant sends again."""
    session.execute(
        delete(Tombstone).where(Tombstone.tenant_id == tenant_id, is_among(Tombstone.key, keys)),
        execution_options=_NO_SYNC,
    )


def work_off(
    sessions: sessionmaker[Session],
    storage: Storage,
    *,
    job_id: uuid.UUID | None = None,
    until: float = math.inf,
) -> int:
    """Delete the objects of tombstones that are due, and return how many tombstones are gone.

    With `job_id`, only those of a job. Photos that a job needs by now stay. The audit log counts a
    job's deleted objects, and says so once the last one is gone. If object storage does not answer,
    tombstones stay and are due again after RETRY. After `until`, a time of `time.monotonic()`, no
    batch is begun. Raises DatabaseUnavailable.
    """
    number = 0
    while batch := _work_off_batch(sessions, storage, job_id):
        number += batch
        if time.monotonic() >= until:
            break
    return number


def _work_off_batch(
    sessions: sessionmaker[Session], storage: Storage, job_id: uuid.UUID | None
) -> int:
    due = or_(Tombstone.not_before.is_(None), Tombstone.not_before <= func.now())
    wanted = (Tombstone.job_id == job_id) if job_id is not None else due
    # Jobs of which rows are still to be deleted will have more tombstones.
    unready = select(Job.id).where(or_(Job.deleted_at.is_not(None), is_to_be_forgotten()))
    with transaction(sessions) as session:
        rows = session.scalars(
            select(Tombstone)
            .where(wanted, Tombstone.job_id.not_in(unready))
            .order_by(Tombstone.id)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        ).all()
        if not rows:
            return 0
        keys = [row.key for row in rows]
        needed = find_needed(session, keys, bucket=storage.bucket)
        try:
            storage.delete([key for key in keys if key not in needed])
        except StorageUnavailable as error:
            log.warning("erasure_put_off", objects=len(rows), reason=str(error))
            session.execute(
                update(Tombstone)
                .where(Tombstone.id.in_([row.id for row in rows]))
                .values(not_before=func.now() + RETRY, attempts=Tombstone.attempts + 1),
                execution_options=_NO_SYNC,
            )
            return 0
        session.execute(
            delete(Tombstone).where(Tombstone.id.in_([row.id for row in rows])),
            execution_options=_NO_SYNC,
        )
        erased = dict.fromkeys(((row.tenant_id, row.job_id) for row in rows), 0)
        for row in rows:
            erased[row.tenant_id, row.job_id] += row.key not in needed
        for (tenant_id, of_job), number in erased.items():
            _record_erased(session, of_job, number, tenant_id=tenant_id)
    return len(rows)


def is_to_be_forgotten() -> ColumnElement[bool]:
    """Return the condition that the rows of a job's images go, as it keeps counts only."""
    return and_(
        Job.aggregate.is_not(None),
        Job.deleted_at.is_(None),
        Job.finished_at.is_not(None),
        exists().where(Image.job_id == Job.id),
    )


def _record_erased(session: Session, job_id: uuid.UUID, number: int, *, tenant_id: str) -> None:
    """Add to the number of a job's erased objects in the audit log, which survives a restart."""
    before = session.scalars(
        delete(AuditLine)
        .where(
            AuditLine.tenant_id == tenant_id,
            AuditLine.action == ERASING,
            AuditLine.subject == str(job_id),
        )
        .returning(AuditLine.number),
        execution_options=_NO_SYNC,
    ).all()
    is_over = not session.scalar(select(exists().where(Tombstone.job_id == job_id)))
    record(
        session,
        ERASED if is_over else ERASING,
        tenant_id=tenant_id,
        actor=SWEEPER,
        subject=job_id,
        number=sum(before) + number,
    )
