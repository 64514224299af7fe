"""Carries bundles to object storage and back; no byte that was changed on the way gets through."""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from facetag.errors import BundleInvalid, ErrorCode, ImageUnreadable, ObjectMissing
from facetag.storage import Storage, tenant_prefix

FILES = ("network.weights.h5", "card.md", "bundle.json")
"""What a bundle is made of; the manifest last, so that a folder with it is whole."""
OPTIONAL = frozenset({"card.md"})
MOST_BYTES = 2 * 2**30


def bundle_key(tenant_id: str, version: str, name: str) -> str:
    """Return where a file of a bundle lies in object storage."""
    return f"{tenant_prefix(tenant_id)}bundles/{version}/{name}"


def store_bundle(storage: Storage, tenant_id: str, folder: Path, version: str) -> dict[str, str]:
    """Store a bundle's files and return the SHA-256 of each; a second time changes nothing.

    Nobody sees them before their row is written. Raises BundleInvalid where a file is missing.
    """
    files = {}
    for name in FILES:
        path = folder / name
        if not path.is_file():
            if name in OPTIONAL:
                continue
            raise BundleInvalid(f"{folder} holds no {name}: fetch the bundle again.")
        data = path.read_bytes()
        files[name] = hashlib.sha256(data).hexdigest()
        storage.put(bundle_key(tenant_id, version, name), data, "application/octet-stream")
    return files


def fetch_bundle(
    storage: Storage, tenant_id: str, version: str, files: Mapping[str, str], root: Path
) -> Path:
    """Return a folder below `root` with the bundle's files, fetched unless they lie there already.

    `files` are the checksums of the bundle's row. Raises BundleInvalid where a byte differs or a
    file is missing, and StorageUnavailable. Several processes may fetch at the same time.
    """
    folder = root / version
    if _is_whole(folder, files):
        return folder
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=root))
    try:
        for name, digest in files.items():
            key = bundle_key(tenant_id, version, name)
            (draft / name).write_bytes(_fetch_checked(storage, key, digest))
        if not _is_whole(folder, files):
            shutil.rmtree(folder, ignore_errors=True)
            draft.rename(folder)
    except OSError:
        # Another process was faster, and its folder is as good.
        if not _is_whole(folder, files):
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _fetch_checked(storage: Storage, key: str, digest: str) -> bytes:
    try:
        data = storage.fetch(storage.bucket, key, MOST_BYTES)
    except ObjectMissing as error:
        raise BundleInvalid(f"{key} is missing from object storage: import it again.") from error
    except ImageUnreadable as error:
        if error.code != ErrorCode.TOO_MANY_BYTES:
            raise
        raise BundleInvalid(f"{key} is not the file that was stored: it is far larger.") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise BundleInvalid(
            f"{key} is not the file that was stored (its SHA-256 differs): it was tampered with or "
            "damaged. Import the bundle again."
        )
    return data


def _is_whole(folder: Path, files: Mapping[str, str]) -> bool:
    try:
        return all(
            hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
            for name, digest in files.items()
        )
    except OSError:
        return False
