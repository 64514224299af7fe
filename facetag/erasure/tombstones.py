"""Write down objects that must go, and delete them, however long object storage is away."""

import math
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta

import structlog
from psycopg import Connection
from sqlalchemy import delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from facetag.access.audit import SWEEPER, record
from facetag.db.engine import transaction
from facetag.db.tables import Job, Tombstone
from facetag.errors import StorageUnavailable
from facetag.jobs.queries import find_needed, is_among
from facetag.storage.client import Storage

BATCH = 1000
RETRY = timedelta(seconds=30)

Gone = Counter[tuple[str, uuid.UUID]]
"""Objects that are deleted already, by tenant and job."""

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
        execution_options={"synchronize_session": False},
    )


def work_off(
    sessions: sessionmaker[Session],
    storage: Storage,
    *,
    job_id: uuid.UUID | None = None,
    until: float = math.inf,
    gone: Gone | None = None,
) -> int:
    """Delete the objects of tombstones that are due, and return how many are gone.

    With `job_id`, only those of a job. Photos that a job needs by now stay. Once the last one
    of a job is gone, the audit log says so. If object storage does not answer, tombstones stay and
    are due again after RETRY. After `until`, a time of `time.monotonic()`, no batch is begun; give
    the same `gone` to each call, so that the audit log counts them together. Raises
    DatabaseUnavailable.
    """
    gone = Counter() if gone is None else gone
    number = 0
    while batch := _work_off_batch(sessions, storage, job_id, gone):
        number += batch
        if time.monotonic() >= until:
            break
    return number


def _work_off_batch(
    sessions: sessionmaker[Session],
    storage: Storage,
    job_id: uuid.UUID | None,
    gone: Gone,
) -> int:
    due = or_(Tombstone.not_before.is_(None), Tombstone.not_before <= func.now())
    wanted = (Tombstone.job_id == job_id) if job_id is not None else due
    # Deleted jobs that still have rows will have more tombstones.
    unready = select(Job.id).where(Job.deleted_at.is_not(None))
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
                execution_options={"synchronize_session": False},
            )
            return 0
        session.execute(
            delete(Tombstone).where(Tombstone.id.in_([row.id for row in rows])),
            execution_options={"synchronize_session": False},
        )
        batch = Gone((row.tenant_id, row.job_id) for row in rows)
        ended = _record_ends(session, batch, gone)
    gone.update(batch)
    for one in ended:
        del gone[one]
    return len(rows)


def _record_ends(session: Session, batch: Gone, before: Gone) -> list[tuple[str, uuid.UUID]]:
    """Record the jobs whose last object is gone, and return them with their tenants."""
    ended = []
    for (tenant_id, job_id), number in batch.items():
        if not session.scalar(select(exists().where(Tombstone.job_id == job_id))):
            ended.append((tenant_id, job_id))
            record(
                session,
                "objects erased",
                tenant_id=tenant_id,
                actor=SWEEPER,
                subject=job_id,
                number=number + before[tenant_id, job_id],
            )
    return ended
