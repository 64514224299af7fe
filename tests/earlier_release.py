"""The release before, as far as tests of an upgrade need it: the code before the last migration."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("api", "cli", "migrations", "trainer", "worker")
VERSIONS = "migrations/facetag_migrations/versions"


def find_earlier_release() -> str:
    """Return the commit before the last migration; empty without the history of git."""
    last = _git("log", "-1", "--diff-filter=A", "--format=%H", "--", f"{VERSIONS}/*.py")
    return _git("rev-parse", "--verify", "--quiet", f"{last}^") if last else ""


def unpack(commit: str, folder: Path, parts: tuple[str, ...] = ()) -> Path:
    """Write the files of a commit, or only some folders of it, into a new folder."""
    folder.mkdir()
    code = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit, *parts], capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=code.stdout, check=True)
    return folder


def import_path(folder: Path) -> str:
    """Return the PYTHONPATH by which our environment runs the code in a folder."""
    return os.pathsep.join(str(place) for place in (folder, *(folder / room for room in ROOMS)))


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
