"""List the images of a job that was given as a prefix, page by page from where it stopped."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

import structlog
from botocore.exceptions import ClientError
from sqlalchemy.orm import Session, sessionmaker

from facetag.bundles.labelling_key import key_of_heads
from facetag.db.engine import transaction
from facetag.db.tables import Job, JobState
from facetag.errors import ObjectMissing, QuotaReached, StorageRefused
from facetag.jobs import append_listed_images, fail_listing, finish_listing
from facetag.jobs.prefix import images_among
from facetag.jobs.quotas import check_image_quota
from facetag.settings import Settings
from facetag.storage.client import ListedObject
from facetag.storage.object_keys import image_prefix

PAGE_KEYS = 1000
"""The most keys that S3 lists per page."""

log = structlog.get_logger(__name__)


class Index(Protocol):
    """Describe what lists keys: `facetag.storage.client.Storage`, or a fake."""

    def list_prefix(
        self, bucket: str, prefix: str, cursor: str | None, limit: int = PAGE_KEYS
    ) -> tuple[Sequence[ListedObject], str | None]:
        """Return objects and the next cursor; raises ObjectMissing if there is no such bucket."""


def list_prefix(
    sessions: sessionmaker[Session],
    storage: Index,
    settings: Settings,
    job_id: UUID,
    *,
    labelling_key: bytes | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Job | None:
    """List a job's prefix into image rows, for at most `drain_s`.

    Images that were labelled under `labelling_key` are finished at once.

    Returns the job as this call leaves it: `listing` if time was up, `queued` or finished if all is
    listed, `failed` if it must not or cannot be listed. Returns None if the job is not listing, or
    if another worker has taken over. Raises StorageUnavailable and DatabaseUnavailable.
    """
    until = time.monotonic() + settings.drain_s
    with transaction(sessions) as session:
        job = session.get(Job, job_id)
        if job is None or job.state != JobState.LISTING:
            return None
    if not may_list(settings, job):
        return _fail(sessions, job, f"s3://{job.source_bucket} is not among the source buckets.")
    while job is not None and job.state == JobState.LISTING:
        if stopping() or time.monotonic() > until:
            return job
        key = key_of_heads(labelling_key, job.heads, settings)
        job = _list_page(sessions, storage, job, key, settings)
    return job


def may_list(settings: Settings, job: Job) -> bool:
    """Return whether a job's prefix lies in a source bucket or below the tenant's own prefix."""
    own = job.source_bucket == settings.s3_bucket and (job.source_prefix or "").startswith(
        image_prefix(job.tenant_id)
    )
    return own or job.source_bucket in settings.source_buckets


def _list_page(
    sessions: sessionmaker[Session],
    storage: Index,
    job: Job,
    labelling_key: bytes | None,
    settings: Settings,
) -> Job | None:
    own = settings.s3_bucket == job.source_bucket
    bucket, prefix, after = job.source_bucket or "", job.source_prefix or "", job.listing_cursor
    try:
        listed, cursor = storage.list_prefix(bucket, prefix, after, PAGE_KEYS)
    except ObjectMissing as error:
        return _fail(sessions, job, str(error))
    except (StorageRefused, ClientError) as error:
        # Nobody would learn of it while the job waited for a right. A retry lists it again.
        return _fail(sessions, job, f"s3://{bucket} cannot be listed: {error}")
    images = images_among(listed, bucket, prefix, tenant_id=job.tenant_id if own else None)
    try:
        with transaction(sessions) as session:
            check_image_quota(session, settings, tenant_id=job.tenant_id, images=len(images))
    except QuotaReached as error:
        return _fail(sessions, job, str(error))
    with transaction(sessions) as session:
        if not append_listed_images(
            session, job.id, images, after=after, cursor=cursor, labelling_key=labelling_key
        ):
            log.info("listing_taken_over", job_id=str(job.id))
            return None
        if cursor is None:
            return finish_listing(session, job.id)
        return session.get(Job, job.id)


def _fail(sessions: sessionmaker[Session], job: Job, reason: str) -> Job | None:
    log.warning("listing_failed", job_id=str(job.id), reason=reason)
    with transaction(sessions) as session:
        fail_listing(session, job.id, reason)
        return session.get(Job, job.id, populate_existing=True)
