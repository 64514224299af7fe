"""Delete predictions that a killed API left behind: the photo, its job and its result."""

from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from facetag.db.engine import transaction
from facetag.errors import JobNotFound, JobStateConflict, StorageUnavailable
from facetag.jobs.predictions import PREDICT_PRIORITY, forget_prediction
from facetag.settings import Settings
from facetag.storage.client import Storage

ROUND = 100
"""The most predictions that one round deletes."""

FIND = text("""
    SELECT jobs.id, jobs.tenant_id, images.key
    FROM jobs JOIN images ON images.job_id = jobs.id
    WHERE jobs.priority >= :priority AND jobs.total = 1 AND images.bucket = :bucket
      AND starts_with(images.key, 'tenants/' || jobs.tenant_id || '/predict/')
      AND jobs.created_at < now() - make_interval(secs => :age_s)
    LIMIT :most
""")

log = structlog.get_logger(__name__)


def delete_abandoned(sessions: sessionmaker[Session], storage: Storage, settings: Settings) -> int:
    """Delete predictions that no caller can still be waiting for; return how many.

    Those that cannot be deleted yet are left to a later round.
    """
    values = {
        "priority": PREDICT_PRIORITY,
        "bucket": storage.bucket,
        # A living API tries to delete them itself for two leases.
        "age_s": settings.predict_timeout_s + 3 * settings.lease_s,
        "most": ROUND,
    }
    with transaction(sessions) as session:
        found = [tuple(row) for row in session.execute(FIND, values)]
    return sum(_delete(sessions, storage, *row) for row in found)


def _delete(
    sessions: sessionmaker[Session], storage: Storage, job_id: UUID, tenant_id: str, key: str
) -> bool:
    try:
        storage.delete([key])
        forget_prediction(sessions, job_id, tenant_id=tenant_id)
    except (StorageUnavailable, JobStateConflict) as error:
        log.warning("abandoned_prediction_put_off", job_id=str(job_id), reason=str(error))
        return False
    except JobNotFound:
        return False
    return True
