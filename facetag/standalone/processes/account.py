"""Find the user that runs a server which refuses to run as root."""

import pwd
from dataclasses import dataclass

from facetag.errors import LocalServerFailed


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this system."""

    uid: int
    gid: int


def find_unprivileged() -> Account:
    """Return the account of `nobody`; raise LocalServerFailed if the system has none."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise LocalServerFailed(
            "PostgreSQL does not run as root, and this system has no user `nobody` to run it as. "
            "Run facetag as an ordinary user, or set FACETAG_DATABASE_URL."
        ) from error
    return Account(entry.pw_uid, entry.pw_gid)
