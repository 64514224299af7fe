"""Delete predictions: jobs of one image that go ahead of all others and are not kept."""

import uuid

from sqlalchemy.orm import Session, sessionmaker

from facetag.db.engine import transaction
from facetag.jobs import cancel_job, delete_job, drop_job, get_job

PREDICT_PRIORITY = 10


def forget_prediction(
    sessions: sessionmaker[Session], job_id: uuid.UUID, *, tenant_id: str
) -> None:
    """Cancel a prediction's job if it still waits, and delete it with its result.

    These are two transactions: a job that cannot be deleted yet stays cancelled. The caller deletes
    the object first, because afterwards no row names it. Raises JobNotFound, JobStateConflict while
    a worker holds the image, and DatabaseUnavailable.
    """
    with transaction(sessions) as session:
        job = get_job(session, job_id, tenant_id=tenant_id)
        if job.finished_at is None:
            cancel_job(session, job_id, tenant_id=tenant_id)
    with transaction(sessions) as session:
        delete_job(session, job_id, tenant_id=tenant_id)
        drop_job(session, job_id)
