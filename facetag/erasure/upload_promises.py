"""Keep photos for a while of which a client was told that they are there, so its job finds them."""

import uuid
from collections.abc import Sequence

from sqlalchemy import ARRAY, Text, delete, exists, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from facetag.db.engine import transaction
from facetag.db.tables import Image, Job, UploadPromise
from facetag.jobs.queries import UPLOAD_GRACE, is_among, keeps_photos

BATCH = 5000
"""Promises that a round of the sweeper deletes: a twentieth of a second."""

_NO_SYNC = {"synchronize_session": False}


def promise(
    session: Session,
    keys: Sequence[str],
    *,
    tenant_id: str,
    bucket: str,
    retention_days: int,
) -> set[str]:
    """Promise that these photos of our bucket stay for UPLOAD_GRACE; return those written down.

    The others stay anyway, as a job keeps them. Commit, then take back the photos' deletion
    (`deleted_jobs.spare_photos`), and then see whether the photos are still there: a deletion that
    found no promise has ended by then. Ended jobs are kept for `retention_days`; 0 for ever.
    """
    # A name that no table's column has: within EXISTS, theirs would come first.
    wanted = func.unnest(literal(list(keys), ARRAY(Text))).column_valued("wanted_key")
    kept = exists().where(
        Image.bucket == bucket,
        Image.key == wanted,
        Job.id == Image.job_id,
        keeps_photos(Job, retention_days=retention_days),
    )
    # In the order of keys, so that two requests for the same photos wait but do not deadlock.
    rows = select(wanted, literal(tenant_id), func.now() + UPLOAD_GRACE).where(~kept)
    statement = insert(UploadPromise).from_select(
        ["key", "tenant_id", "until"], rows.order_by(wanted)
    )
    return set(
        session.scalars(
            statement.on_conflict_do_update(
                index_elements=[UploadPromise.key], set_={"until": statement.excluded.until}
            ).returning(UploadPromise.key)
        )
    )


def break_promises(session: Session, keys: Sequence[str], *, tenant_id: str) -> None:
    """Take back the promises of photos that are erased on purpose."""
    session.execute(
        delete(UploadPromise).where(
            UploadPromise.tenant_id == tenant_id, is_among(UploadPromise.key, keys)
        ),
        execution_options=_NO_SYNC,
    )


def break_promises_of_job(session: Session, job_id: uuid.UUID, *, bucket: str) -> None:
    """Take back the promises of all photos of a job that is erased on purpose."""
    named = exists().where(
        Image.bucket == bucket, Image.key == UploadPromise.key, Image.job_id == job_id
    )
    session.execute(delete(UploadPromise).where(named), execution_options=_NO_SYNC)


def forget_promises(sessions: sessionmaker[Session]) -> int:
    """Delete up to BATCH promises whose time is over; return how many."""
    over = (
        select(UploadPromise.key)
        .where(UploadPromise.until <= func.now())
        .order_by(UploadPromise.until)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    with transaction(sessions) as session:
        # Two statements: a join of both may take hours where statistics say the table is empty.
        keys = session.scalars(over).all()
        session.execute(
            delete(UploadPromise).where(is_among(UploadPromise.key, keys)),
            execution_options=_NO_SYNC,
        )
    return len(keys)
