"""Label folders by the command of a checkout, and follow its jobs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import ImageOps

from benchmarks.samples import load_photo
from tests.containers.composition import Composition
from tests.earlier_release import import_path
from tests.unit.packaging.containers import ROOT

PATIENCE_S = 600


def tag(composition: Composition, photos: Path, *, status: int) -> list[dict]:
    """Label a folder by the command; returns the lines of its output."""
    with tagging(composition, photos) as command:
        output, errors = command.communicate(timeout=PATIENCE_S)
    assert command.returncode == status, errors
    return [json.loads(line) for line in output.splitlines()]


@contextmanager
def tagging(
    composition: Composition, photos: Path, *, tree: Path = ROOT
) -> Iterator["subprocess.Popen[str]"]:
    """Run `facetag tag` of a checkout, with the service's address and key."""
    command = subprocess.Popen(
        [sys.executable, "-m", "facetag_cli.main", "tag", str(photos), "--format=jsonl"],
        cwd=tree,
        env=composition.command_environment(os.environ | {"PYTHONPATH": import_path(tree)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield command
    finally:
        if command.poll() is None:
            command.kill()
            command.wait()


def newest_job(composition: Composition) -> dict:
    jobs = composition.get("/v1/jobs?limit=1")["jobs"]
    return dict(jobs[0]) if jobs else {"counts": {"tagged": 0}, "total": 0}


def wait_for_labels(
    composition: Composition, command: "subprocess.Popen[str]", photos: int
) -> dict:
    """Wait until all photos of the newest job are known and the first ones are labelled."""
    deadline = time.monotonic() + PATIENCE_S
    while not (job := newest_job(composition))["counts"]["tagged"] or job["total"] != photos:
        assert command.poll() is None, command.communicate()
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
    return job


def check_all_tagged(output: str, photos: Path) -> None:
    """Check that the command's lines name each photo once, and that all are labelled."""
    lines = [json.loads(line) for line in output.splitlines()]
    assert sorted(line["image"] for line in lines) == sorted(p.name for p in photos.iterdir())
    assert {line["state"] for line in lines} == {"tagged"}


def write_photos(folder: Path, count: int, *, mirrored: bool = False) -> None:
    """Write different portraits of the same astronaut."""
    folder.mkdir()
    photo = load_photo("astronaut.png")
    if mirrored:
        photo = ImageOps.mirror(photo)
    for number in range(count):
        side, quality = 300 + number // 4, 80 + number % 4
        photo.resize((side, side)).save(folder / f"{number:04}.jpg", quality=quality)
