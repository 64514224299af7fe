"""Make and store the passwords and keys of the local servers, once per data folder."""

import json
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from facetag.atomic_write import atomic_write
from facetag.errors import LocalServerFailed


def _make_secret() -> str:
    return secrets.token_hex(24)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secrets of the local servers, in hexadecimal, which needs no escaping in a URL."""

    database_password: str
    """The password of PostgreSQL's superuser, whom only `postgres.py` uses."""
    redis_password: str
    s3_access_key: str
    s3_secret_key: str
    storage_signing_key: str
    """The key with which SeaweedFS's parts sign their requests to one another."""
    # A folder of an earlier version lacks those that follow: they are made when it is opened.
    service_password: str = field(default_factory=_make_secret)
    """The password of the ordinary role with which facetag's processes use PostgreSQL."""
    s3_api_access_key: str = field(default_factory=_make_secret)
    s3_api_secret_key: str = field(default_factory=_make_secret)
    """The keys of the API, which may touch tenants' photos alone."""

    def __repr__(self) -> str:
        """Keep secrets out of logs and tracebacks."""
        return "Credentials(...)"


def load_credentials(path: Path) -> Credentials:
    """Read the credentials; make and store them (mode 0600) if there are none yet.

    Raise LocalServerFailed if the file holds something else.
    """
    if not path.exists():
        made = Credentials(*(_make_secret() for _ in fields(Credentials)))
        write_private(path, json.dumps(asdict(made)))
    path.chmod(0o600)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        credentials = Credentials(**stored)
        if stored != asdict(credentials):
            write_private(path, json.dumps(asdict(credentials)))
        return credentials
    except (ValueError, TypeError) as error:
        raise LocalServerFailed(
            f"{path} no longer holds the local servers' passwords. Restore the file, or delete "
            f"{path.parent} with all its data to begin anew."
        ) from error


def write_private(path: Path, text: str) -> None:
    """Write a file atomically that only its owner may read."""
    atomic_write(path, text, fsync=True, mode=0o600, sole_writer=True)
