"""Choose the users that run a server which refuses to run as root."""

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from facetag.errors import LocalServerFailed

IDS = range(65520, 65534)
"""Ids that no distribution and no systemd gives to anybody, below those that containers lack."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user and a group of this system; neither needs to have a name."""

    uid: int
    gid: int

    def owns(self, path: Path) -> bool:
        """Return whether a file is this user's."""
        return path.stat().st_uid == self.uid

    def take_over(self, folder: Path) -> None:
        """Give a folder with all that it holds to this user."""
        for place, _, files, descriptor in os.fwalk(folder):
            os.chown(place, self.uid, self.gid)
            for name in files:
                os.chown(name, self.uid, self.gid, dir_fd=descriptor, follow_symlinks=False)


def find_own() -> Account:
    """Return an account that no other program runs as: it has no name, so nobody can ask for it.

    Raises LocalServerFailed if all of IDS are taken.
    """
    taken = {entry.pw_uid for entry in pwd.getpwall()} | {entry.gr_gid for entry in grp.getgrall()}
    free = next((number for number in IDS if number not in taken), None)
    if free is None:
        raise LocalServerFailed(
            "PostgreSQL does not run as root, and this system has users for all of the ids "
            f"{IDS[0]} to {IDS[-1]}, of which facetag takes one. Run facetag as an ordinary user, "
            "or set FACETAG_DATABASE_URL."
        )
    return Account(free, free)


def find_named(own: Account) -> Account:
    """Return `nobody` with our own group, for a program that must run as a user with a name.

    As their groups differ, other programs of `nobody` cannot look into it. Raises LocalServerFailed
    if the system has no such user.
    """
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise LocalServerFailed(
            "PostgreSQL does not run as root, and this system has no user `nobody`, whom it needs "
            "to make its files. Run facetag as an ordinary user, or set FACETAG_DATABASE_URL."
        ) from error
    return Account(entry.pw_uid, own.gid)
