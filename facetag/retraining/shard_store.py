"""Keep copies of shards in object storage, so that later retrainings find them anywhere."""

from pathlib import Path

from facetag.atomic_write import atomic_draft
from facetag.bundles.bundle_folder import file_sha256
from facetag.errors import ObjectMissing, ShardUnreadable
from facetag.storage.client import Storage
from facetag.storage.object_keys import tenant_prefix


def shard_key(tenant_id: str, sha256: str) -> str:
    """Return the key of a shard in object storage."""
    return f"{tenant_prefix(tenant_id)}shards/{sha256}.tar"


def store_shard(storage: Storage, tenant_id: str, path: Path, sha256: str) -> None:
    """Store a shard under its SHA-256; a copy that is there may be damaged and is replaced."""
    storage.operator.put_file(shard_key(tenant_id, sha256), path)


def fetch_shard(storage: Storage, tenant_id: str, sha256: str, root: Path) -> Path:
    """Return a file below `root` with the shard; fetch it if it is not there.

    Raises ShardUnreadable if object storage does not have it, or has a damaged copy.
    """
    path = root / f"{sha256}.tar"
    if path.is_file() and file_sha256(path) == sha256:
        return path
    root.mkdir(parents=True, exist_ok=True)
    try:
        with atomic_draft(path, sole_writer=True) as draft:
            storage.operator.fetch_file(shard_key(tenant_id, sha256), draft)
            if file_sha256(draft) != sha256:
                raise ShardUnreadable(
                    f"The copy of the shard {sha256} in object storage is damaged: give the shard "
                    "with --earlier."
                )
    except ObjectMissing as error:
        raise ShardUnreadable(
            f"The copy of the shard {sha256} is missing from object storage: give the shard with "
            "--earlier."
        ) from error
    return path
