"""Labelling the images of a finished job again, as a new job: the old results stay."""

import uuid

from sqlalchemy import insert, literal, select
from sqlalchemy.orm import Session

from facetag.database import allow_long_statements
from facetag.errors import JobStateConflict
from facetag.jobs.counts import close_job_if_done
from facetag.jobs.reading import get_job
from facetag.tables import Image, Job, JobState


def retag_job(session: Session, job_id: uuid.UUID, *, tenant_id: str) -> Job:
    """Create a job of the same images in the same order, and return it.

    Raises JobNotFound, and JobStateConflict while the old one is not finished.
    """
    allow_long_statements(session)
    old = get_job(session, job_id, tenant_id=tenant_id)
    if old.finished_at is None:
        raise JobStateConflict(f"The job is {old.state} and not done: wait until it has ended.")
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
