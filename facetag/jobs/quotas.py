"""Bound how many jobs and images a tenant keeps."""

from sqlalchemy import func, literal, select, text
from sqlalchemy.orm import Session

from facetag.db.tables import ImageState, Job
from facetag.errors import QuotaReached
from facetag.settings import Settings

AT_ONCE = 64
"""More requests of a tenant are not served at the same moment, by all processes of the API."""
LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('quota ' || :tenant, 0))")


def check_quota(
    session: Session,
    settings: Settings,
    *,
    tenant_id: str,
    images: int,
    idempotency_key: str | None = None,
) -> None:
    """Raise QuotaReached if a tenant may not add a job of so many images.

    Near the bounds, requests of a tenant wait for one another until the transaction's end, so that
    none passes beside another. A request that was answered before, by its key, adds nothing.
    """
    if idempotency_key is not None and session.scalar(
        select(Job.id).where(Job.tenant_id == tenant_id, Job.idempotency_key == idempotency_key)
    ):
        return
    open_jobs, held = _count(session, tenant_id)
    near = (
        open_jobs + AT_ONCE > settings.max_open_jobs
        or held + AT_ONCE * settings.max_job_images > settings.max_tenant_images
    )
    if near:
        session.execute(LOCK, {"tenant": tenant_id})
        open_jobs, held = _count(session, tenant_id)
    if open_jobs >= settings.max_open_jobs:
        raise QuotaReached(
            f"{open_jobs} jobs are not finished yet; at most {settings.max_open_jobs} may be "
            "(FACETAG_MAX_OPEN_JOBS): wait for them, or cancel some."
        )
    _check_images(held, images, settings)


def check_image_quota(session: Session, settings: Settings, *, tenant_id: str, images: int) -> None:
    """Raise QuotaReached if a job of a tenant may not grow by so many images."""
    _check_images(_count(session, tenant_id)[1], images, settings)


def _check_images(held: int, images: int, settings: Settings) -> None:
    if held + images > settings.max_tenant_images:
        raise QuotaReached(
            f"Your jobs hold {held} images; with these they would hold more than "
            f"{settings.max_tenant_images} (FACETAG_MAX_TENANT_IMAGES): delete some jobs. "
            "The images of a deleted job count until its rows are gone, within minutes."
        )


def _count(session: Session, tenant_id: str) -> tuple[int, int]:
    """Return how many jobs are not finished, and how many images all jobs hold."""
    # The total of a job whose prefix is being listed is not known.
    listed = sum((getattr(Job, state.value) for state in ImageState), start=literal(0))
    open_jobs, held = session.execute(
        select(
            func.count().filter(Job.finished_at.is_(None)),
            func.coalesce(func.sum(func.coalesce(Job.total, listed)), 0),
        ).where(Job.tenant_id == tenant_id)
    ).one()
    return int(open_jobs), int(held)
