"""Upgrade from the release before while it labels."""

import shutil
import time
from pathlib import Path

from tests.containers.composition import Composition, tell
from tests.containers.labelling_runs import (
    PATIENCE_S,
    check_all_tagged,
    newest_job,
    tagging,
    wait_for_labels,
    write_photos,
)
from tests.earlier_release import find_earlier_release, unpack
from tests.unit.packaging.containers import ROOT

LIBRARIES = ("Dockerfile", "constraints.txt", "pyproject.toml", "README.md", "LICENSE")
"""What decides about the images' libraries; README.md and LICENSE are part of the package."""
PHOTOS = 1600
"""Photos of the job that goes on during the upgrade: more than it lasts for."""
TABLES = "SELECT version_num FROM alembic_version"
HOSTS = "SELECT DISTINCT split_part(claimed_by, ':', 1) FROM images"


def check_upgrade(composition: Composition, folder: Path) -> None:
    """Upgrade from the release before while it labels: the job ends under this one.

    The release before gets the libraries of this one, so that only code is built again.
    """
    commit = find_earlier_release()
    if not commit:
        tell("not upgraded: the release before is in the history of git, which is not here")
        return
    composition.tree = unpack(commit, folder / "before")
    for name in LIBRARIES:
        shutil.copy(ROOT / name, composition.tree / name)
    composition.compose("build", "api", "worker")
    composition.up("api", "worker", "sweeper")
    before, composition.tree = composition.tree, ROOT
    # The job must not end before the images are built.
    composition.compose("build", "api", "worker", "trainer")
    tables = composition.ask_database(TABLES)
    photos = folder / "upgraded"
    write_photos(photos, PHOTOS, mirrored=True)
    with tagging(composition, photos, tree=before) as command:
        wait_for_labels(composition, command, PHOTOS)
        began = time.monotonic()
        composition.shell("docker compose up --build --detach")
        composition.wait_ready()
        took_s = time.monotonic() - began
        left = PHOTOS - newest_job(composition)["counts"]["tagged"]
        output, errors = command.communicate(timeout=PATIENCE_S)
    assert command.returncode == 0, errors
    check_all_tagged(output, photos)
    workers = composition.ask_database(HOSTS)
    assert len(workers) == 2, f"the job ended before the upgrade: {workers}"
    assert composition.ask_database(TABLES) != tables
    tell(
        f"upgraded in {took_s:.0f} s from {commit[:7]}, {left} of {PHOTOS} photos to go: "
        "the command that waited for them got all"
    )
