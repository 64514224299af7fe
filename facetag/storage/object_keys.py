"""Say where each kind of object lies, and which of them a tenant's jobs may name."""

import hashlib
import re

from facetag.settings import Settings

_SHA256 = re.compile(r"[0-9a-f]{64}")
CLIMBING = re.compile(r"(?:^|/)\.{1,2}(?:/|$)|[\x00-\x1f\x7f\\]")
"""Some stores keep keys as folders, where `..` would lead out of a prefix."""


def tenant_prefix(tenant_id: str) -> str:
    """Return the prefix of all that a tenant may read and delete."""
    return f"tenants/{tenant_id}/"


def image_prefix(tenant_id: str) -> str:
    """Return the prefix of a tenant's photos, which alone its jobs may name in our bucket."""
    return f"{tenant_prefix(tenant_id)}images/"


def predict_prefix(tenant_id: str) -> str:
    """Return the prefix of photos that are labelled while their sender waits."""
    return f"{tenant_prefix(tenant_id)}predict/"


def image_key(tenant_id: str, sha256: str, suffix: str) -> str:
    """Return the content-addressed key of an image; `sha256` in hex, `suffix` such as `.jpg`."""
    return f"{image_prefix(tenant_id)}{sha256[:2]}/{sha256}{suffix}"


def thumbnail_key(tenant_id: str, bucket: str, key: str) -> str:
    """Return the key of the small copy of a photo, which all jobs of this photo share.

    Copies are JPEG; earlier versions made WebP, and the names stay so that those are found.
    """
    digest = hashlib.sha256(f"{bucket}/{key}".encode()).hexdigest()
    return f"{tenant_prefix(tenant_id)}thumbnails/{digest[:2]}/{digest}.webp"


def content_of_key(tenant_id: str, key: str) -> bytes | None:
    """Return the SHA-256 that an image's key states; None for a key that states none."""
    stem = key.removeprefix(image_prefix(tenant_id))
    digest = stem[3:67]
    if stem == key or stem[:3] != f"{digest[:2]}/" or not _SHA256.fullmatch(digest):
        return None
    return bytes.fromhex(digest)


def holds_photos(bucket: str, key: str, *, tenant_id: str, settings: Settings) -> bool:
    """Return whether a worker may read a tenant's photo there.

    It lies among the tenant's own photos, or in a source bucket.
    """
    if CLIMBING.search(key):
        return False
    if bucket == settings.s3_bucket:
        return key.startswith((image_prefix(tenant_id), predict_prefix(tenant_id)))
    return bucket in settings.source_buckets
