"""Delete the rows of deleted jobs, some at a time, and write down the objects that go with them."""

import time
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session, aliased, sessionmaker

from facetag.db.engine import transaction
from facetag.db.tables import Image, Job
from facetag.erasure.tombstones import bury, spare
from facetag.jobs import drop_job
from facetag.jobs.queries import needs_photo
from facetag.storage.object_keys import thumbnail_key

BATCH = 1000
"""Images that are deleted at a time: a tenth of a second."""
STEP_S = 0.5
ROUND_S = 5.0
"""The sweeper turns to its other work after this time, and goes on in its next round."""

_NO_SYNC = {"synchronize_session": False}
_IDENTITY = (Image.id, Image.job_id, Image.position, Image.tenant_id, Image.bucket, Image.key)


def erase_rows(session: Session, job_id: uuid.UUID, *, bucket: str, within_s: float) -> bool:
    """Delete images of a deleted job for about `within_s`; return whether the whole job is gone.

    Their photos in our own `bucket` that no other job needs get tombstones (source buckets are
    never changed), and so do the thumbnails of photos that no other job names.
    """
    until, after = time.monotonic() + within_s, -1
    while True:
        rows = session.execute(
            select(*_IDENTITY)
            .where(Image.job_id == job_id, Image.position > after)
            .order_by(Image.position)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        ).all()
        if not rows:
            break
        _erase(session, rows, bucket=bucket)
        after = rows[-1].position
        if len(rows) == BATCH and time.monotonic() >= until:
            return False
    if session.scalar(select(exists().where(Image.job_id == job_id))):
        return False
    drop_job(session, job_id)
    return True


def erase_deleted_jobs(sessions: sessionmaker[Session], *, bucket: str) -> int:
    """Go on with deleted jobs for ROUND_S, the oldest first; return how many are gone."""
    until = time.monotonic() + ROUND_S
    with transaction(sessions) as session:
        found = session.scalars(
            select(Job.id).where(Job.deleted_at.is_not(None)).order_by(Job.deleted_at)
        ).all()
    gone = 0
    for job_id in found:
        is_gone = False
        while not is_gone and time.monotonic() < until:
            with transaction(sessions) as session:
                is_gone = erase_rows(session, job_id, bucket=bucket, within_s=STEP_S)
        gone += is_gone
    return gone


def spare_photos(session: Session, keys: Sequence[str], *, tenant_id: str, bucket: str) -> None:
    """Take back the deletion of photos that their tenant sends again, and of their thumbnails.

    Rows of deleted jobs that name them go now, or they would bury the photos later. Whoever deletes
    such a row at this moment is waited for.
    """
    deleted = select(Job.id).where(Job.deleted_at.is_not(None))
    if session.scalar(select(deleted.exists())):
        rows = session.execute(
            select(*_IDENTITY)
            .where(Image.bucket == bucket, Image.key.in_(keys), Image.job_id.in_(deleted))
            .order_by(Image.id)
            .with_for_update()
        ).all()
        _erase(session, rows, bucket=bucket)
    # A worker may store a thumbnail anew before the old one's turn comes.
    thumbnails = [thumbnail_key(tenant_id, bucket, key) for key in keys]
    spare(session, [*keys, *thumbnails], tenant_id=tenant_id)


def _erase(session: Session, rows: Sequence[Any], *, bucket: str) -> None:
    ids = [row.id for row in rows]
    other, its_job = aliased(Image), aliased(Job)
    elsewhere = (
        select(other.id)
        .join(its_job, its_job.id == other.job_id)
        .where(
            other.bucket == Image.bucket,
            other.key == Image.key,
            other.job_id != Image.job_id,
            its_job.deleted_at.is_(None),
        )
    )
    needed = elsewhere.where(needs_photo(other, its_job))
    unneeded = {
        found.id: found.named
        for found in session.execute(
            select(Image.id, elsewhere.exists().label("named")).where(
                Image.id.in_(ids), ~needed.exists()
            )
        )
    }
    session.execute(delete(Image).where(Image.id.in_(ids)), execution_options=_NO_SYNC)
    for tenant_id, job_id in dict.fromkeys((row.tenant_id, row.job_id) for row in rows):
        mine = [row for row in rows if row.job_id == job_id and row.id in unneeded]
        photos = {row.key for row in mine if row.bucket == bucket}
        thumbnails = {
            thumbnail_key(tenant_id, row.bucket, row.key) for row in mine if not unneeded[row.id]
        }
        bury(session, sorted(photos | thumbnails), tenant_id=tenant_id, job_id=job_id)
