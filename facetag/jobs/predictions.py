"""A prediction is a job of one image that goes before all others and is not kept."""

import uuid

from sqlalchemy.orm import Session, sessionmaker

from facetag.db.engine import transaction
from facetag.jobs import cancel_job, delete_job, get_job

PREDICT_PRIORITY = 10


def forget_prediction(
    sessions: sessionmaker[Session], job_id: uuid.UUID, *, tenant_id: str, bucket: str
) -> None:
    """Delete a prediction's job with its result, cancelled first where it still waits.

    Two transactions: what was cancelled stays so where it cannot be deleted yet. The caller deletes
    the object before: nothing would lead there afterwards. Raises JobNotFound, JobStateConflict
    while a worker holds the image, and DatabaseUnavailable.
    """
    with transaction(sessions) as session:
        job = get_job(session, job_id, tenant_id=tenant_id)
        if job.finished_at is None:
            cancel_job(session, job_id, tenant_id=tenant_id)
    with transaction(sessions) as session:
        delete_job(session, job_id, tenant_id=tenant_id, bucket=bucket)
