"""Store bundles in object storage and fetch them, with a check of every byte."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from facetag.bundles.bundle_folder import (
    CARD,
    MANIFEST,
    WEIGHTS,
    check_version,
    check_weights,
    file_sha256,
    read_manifest,
)
from facetag.errors import BundleInvalid, ObjectMissing
from facetag.settings import Settings
from facetag.storage.client import Storage
from facetag.storage.object_keys import tenant_prefix

FILES = (WEIGHTS, CARD, MANIFEST)
"""The files of a bundle."""
OPTIONAL = frozenset({CARD})


def fetched_root(settings: Settings) -> Path:
    """Return this machine's folder for fetched bundles."""
    return settings.data_dir / "bundles"


def bundle_key(tenant_id: str, version: str, name: str, sha256: str) -> str:
    """Return the key of a bundle's file, which no other content has."""
    return f"{tenant_prefix(tenant_id)}bundles/{version}/{sha256}/{name}"


def store_bundle(storage: Storage, tenant_id: str, folder: Path) -> dict[str, str]:
    """Store a bundle's files and return the SHA-256 of each; storing twice changes nothing.

    The files are used only once a row names them. Raises BundleInvalid if a file is missing or the
    weights are not those of the manifest.
    """
    manifest = read_manifest(folder)
    check_weights(folder, manifest)
    files = {}
    for name in FILES:
        path = folder / name
        if name in OPTIONAL and not path.is_file():
            continue
        files[name] = file_sha256(path)
        # A file that is stored already is stored again: it may have been damaged since.
        storage.operator.put_file(
            bundle_key(tenant_id, manifest["version"], name, files[name]), path
        )
    return files


def fetch_bundle(
    storage: Storage, tenant_id: str, version: str, files: Mapping[str, str], root: Path
) -> Path:
    """Return a folder below `root` with the bundle's files; fetch them if they are not there.

    `files` are the checksums of the bundle's row. Several processes may fetch at the same time.
    Raises BundleInvalid if a file is missing or differs, and StorageUnavailable.
    """
    check_version(version)
    if unknown := files.keys() - set(FILES):
        raise BundleInvalid(f"The bundle {version} names files that no bundle has: {unknown}.")
    folder = root / version
    if _is_whole(folder, files):
        return folder
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=root))
    try:
        for name, digest in files.items():
            _fetch_checked(storage, bundle_key(tenant_id, version, name, digest), draft / name)
            if file_sha256(draft / name) != digest:
                raise BundleInvalid(
                    f"{name} of {version} in object storage was damaged or tampered with (its "
                    "SHA-256 differs). Store the bundle again with `facetag models promote FOLDER`."
                )
        if not _is_whole(folder, files):
            shutil.rmtree(folder, ignore_errors=True)
            draft.rename(folder)
    except OSError:
        # Another process was faster, and its folder is used.
        if not _is_whole(folder, files):
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _fetch_checked(storage: Storage, key: str, path: Path) -> None:
    try:
        storage.operator.fetch_file(key, path)
    except ObjectMissing as error:
        raise BundleInvalid(
            f"{key} is missing from object storage: promote another version, or give this one's "
            "folder to `facetag models promote`."
        ) from error


def _is_whole(folder: Path, files: Mapping[str, str]) -> bool:
    try:
        return all(file_sha256(folder / name) == digest for name, digest in files.items())
    except OSError:
        return False
