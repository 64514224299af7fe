"""Bound how many jobs and images a tenant keeps."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from facetag.db.tables import Job
from facetag.errors import QuotaReached
from facetag.settings import Settings


def check_quota(
    session: Session,
    settings: Settings,
    *,
    tenant_id: str,
    images: int,
    idempotency_key: str | None = None,
) -> None:
    """Raise QuotaReached if a tenant may not add a job of so many images.

    Requests at the same moment may each pass: the bounds are against runaway clients. A request
    that was answered before, by its key, adds nothing.
    """
    if idempotency_key is not None and session.scalar(
        select(Job.id).where(Job.tenant_id == tenant_id, Job.idempotency_key == idempotency_key)
    ):
        return
    open_jobs, held = session.execute(
        select(
            func.count().filter(Job.finished_at.is_(None)),
            func.coalesce(func.sum(Job.total), 0),
        ).where(Job.tenant_id == tenant_id)
    ).one()
    if open_jobs >= settings.max_open_jobs:
        raise QuotaReached(
            f"{open_jobs} jobs are not finished yet; at most {settings.max_open_jobs} may be "
            "(FACETAG_MAX_OPEN_JOBS): wait for them, or cancel some."
        )
    if (held or 0) + images > settings.max_tenant_images:
        raise QuotaReached(
            f"Your jobs hold {held} images; with these they would hold more than "
            f"{settings.max_tenant_images} (FACETAG_MAX_TENANT_IMAGES): delete some jobs."
        )
