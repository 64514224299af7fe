"""Check that a job names only objects of the tenant and of allowed source buckets."""

import re
from collections.abc import Sequence

from facetag.jobs import NewImage
from facetag.settings import BUCKET_NAME, Settings
from facetag.storage.object_keys import CLIMBING, content_of_key, image_prefix
from facetag_api.problems import MAX_LISTED_ERRORS, RequestInvalid, count_faults
from facetag_api.schemas import JobImage

_S3_URL = re.compile(rf"s3://(?P<bucket>{BUCKET_NAME})(?:/(?P<key>.*))?", re.DOTALL)


def require_room(total: int, settings: Settings) -> None:
    """Raise RequestInvalid if a job may not have so many images."""
    if total > settings.max_job_images:
        raise RequestInvalid(
            f"A job may have {settings.max_job_images} images, not {total}: "
            "create several jobs, or raise FACETAG_MAX_JOB_IMAGES."
        )


def resolve_images(
    images: Sequence[JobImage], *, settings: Settings, tenant_id: str
) -> list[NewImage]:
    """Return the images with their buckets; raises RequestInvalid, which names the wrong ones."""
    resolved: list[NewImage] = []
    faults: list[dict[str, object]] = []
    wrong = 0
    for index, image in enumerate(images):
        try:
            bucket, key = locate_object(image.key, settings=settings, tenant_id=tenant_id)
            # Without a listing, the bytes of photos in source buckets are unknown.
            content = content_of_key(tenant_id, key) if bucket == settings.s3_bucket else None
            resolved.append(NewImage(key, image.name or image.key, bucket, content))
        except ValueError as error:
            wrong += 1
            if wrong <= MAX_LISTED_ERRORS:
                faults.append({"loc": ["body", "images", index], "message": str(error)})
    if wrong:
        raise RequestInvalid(count_faults(wrong), faults)
    return resolved


def locate_object(key: str, *, settings: Settings, tenant_id: str) -> tuple[str, str]:
    """Return bucket and key of an object; raises ValueError if a job may not name it."""
    bucket, key = _split(key, settings)
    if not key:
        raise ValueError("the key is empty")
    _refuse_strangers(bucket, key, settings=settings, tenant_id=tenant_id)
    return bucket, key


def locate_prefix(url: str, *, settings: Settings, tenant_id: str) -> tuple[str, str]:
    """Return bucket and prefix of `s3://bucket/prefix`; raises RequestInvalid."""
    try:
        if not url.startswith("s3://"):
            raise ValueError("give the prefix as s3://bucket/prefix")
        bucket, prefix = _split(url, settings)
        _refuse_strangers(bucket, prefix, settings=settings, tenant_id=tenant_id)
    except ValueError as error:
        fault = {"loc": ["body", "prefix"], "message": str(error)}
        raise RequestInvalid(count_faults(1), [fault]) from error
    return bucket, prefix


def _split(key: str, settings: Settings) -> tuple[str, str]:
    if not key.startswith("s3://"):
        return settings.s3_bucket, key
    match = _S3_URL.fullmatch(key)
    if match is None:
        raise ValueError("give the key as s3://bucket/key")
    return match["bucket"], match["key"] or ""


def _refuse_strangers(bucket: str, key: str, *, settings: Settings, tenant_id: str) -> None:
    if CLIMBING.search(key):
        raise ValueError("keys with a part `.` or `..`, a `\\` or a control character are refused")
    if bucket == settings.s3_bucket:
        if "//" in key:
            # Some stores take this for another spelling of the same object.
            raise ValueError("keys of uploads have no empty part")
        prefix = image_prefix(tenant_id)
        if not key.startswith(prefix):
            raise ValueError(f"the key must begin with {prefix} (POST /v1/uploads gives such keys)")
    elif bucket not in settings.source_buckets:
        raise ValueError(
            f"images of the bucket {bucket} may not be tagged: add it to FACETAG_SOURCE_BUCKETS"
        )
