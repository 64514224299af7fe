"""The passwords and keys of the local servers: random, and made once per data folder."""

import json
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from facetag.atomic_write import atomic_write
from facetag.errors import LocalServerFailed


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the local servers ask for. Hexadecimal, so that it needs no escaping in a URL."""

    database_password: str
    redis_password: str
    s3_access_key: str
    s3_secret_key: str
    storage_signing_key: str
    """With which SeaweedFS's parts sign their requests to one another."""

    def __repr__(self) -> str:
        """Keep secrets out of logs and tracebacks."""
        return "Credentials(...)"


def load_credentials(path: Path) -> Credentials:
    """Read the credentials, or make and store them (mode 0600) where there are none yet.

    Raises LocalServerFailed where the file holds something else.
    """
    if not path.exists():
        made = Credentials(*(secrets.token_hex(24) for _ in fields(Credentials)))
        write_private(path, json.dumps(asdict(made)))
    path.chmod(0o600)
    try:
        return Credentials(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise LocalServerFailed(
            f"{path} does not hold the local servers' passwords any more. Restore it, or delete "
            f"{path.parent} with all its data to begin anew."
        ) from error


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    atomic_write(path, text, fsync=True, mode=0o600, sole_writer=True)
