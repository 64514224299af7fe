"""Lead the services of docker-compose.yml through their life: label, lose a worker, stop, restart.

Each step checks what it did by assertions, and tells in one line what held.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.samples import EXPECTED, load_photo, write_samples
from tests.containers.composition import Composition

MOST_MB = {"facetag-api:0.1.0": 250, "facetag-worker:0.1.0": 1600, "facetag-trainer:0.1.0": 2000}
"""The most megabytes (10**6 bytes) of each image."""
OURS = ("api", "worker", "sweeper", "trainer")
CHECKED = ("api", "worker", "sweeper", "postgres", "redis", "s3")
PHOTOS = 480
PATIENCE_S = 600


def live(composition: Composition, folder: Path) -> None:
    """Build, start, use, hurt, stop and start again; raises AssertionError where a step fails."""
    composition.compose("build", "api", "worker", "trainer")
    check_sizes(composition)
    began = time.monotonic()
    composition.up()
    tell(f"ready {time.monotonic() - began:.0f} s after `up`")
    check_confinement(composition)
    check_samples(composition, folder)
    for service in CHECKED:
        composition.wait_healthy(service)
    tell(f"healthy: {', '.join(CHECKED)}")
    job = check_lost_worker(composition, folder)
    check_restart(composition, folder, job)


def check_sizes(composition: Composition) -> None:
    """State the images' sizes, and hold them to their bounds."""
    for image, most in MOST_MB.items():
        told = composition.engine.docker("image", "inspect", "--format={{.Size}}", image)
        size = int(told.stdout) / 1e6
        tell(f"{image}: {size:.0f} MB (bound {most})")
        assert size < most, image


def check_confinement(composition: Composition) -> None:
    """Look inside each container of ours: user, root file system, capabilities."""
    for service in OURS:
        (container, *_) = composition.containers(service)

        def inside(script: str, container: str = container) -> str:
            done = composition.engine.docker("exec", container, "sh", "-c", script, check=False)
            return done.stdout + done.stderr

        assert inside("id -u").strip() == "10001", service
        assert "Read-only file system" in inside("touch /opt/facetag/here"), service
        status = inside("cat /proc/1/status")
        sets = {line.split(":")[0]: line.split()[-1] for line in status.splitlines() if ":" in line}
        assert {int(sets[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}, service
        assert sets["NoNewPrivs"] == "1", service
    tell("ours run as user 10001 on a read-only root without capabilities")


def check_samples(composition: Composition, folder: Path) -> None:
    """Label the samples by the command, and compare each with what it is known to hold."""
    samples = folder / "samples"
    samples.mkdir()
    write_samples(samples)
    lines = tag(composition, samples, status=3)
    found = {
        line["image"]: (line["state"], line["error"] and line["error"]["code"], len(line["faces"]))
        for line in lines
    }
    assert found == EXPECTED, found
    tell(f"{len(lines)} samples labelled as they should be")


def check_lost_worker(composition: Composition, folder: Path) -> str:
    """Kill one of two workers in the middle of a job: the other ends it. Returns the job's id."""
    composition.up("--scale=worker=2")
    photos = folder / "photos"
    write_photos(photos, PHOTOS)
    with tagging(composition, photos) as command:
        deadline = time.monotonic() + PATIENCE_S
        while not (job := newest_job(composition))["counts"]["tagged"] or job["total"] != PHOTOS:
            assert command.poll() is None, command.communicate()
            assert time.monotonic() < deadline, job
            time.sleep(0.1)
        busy = busiest_worker(composition)
        composition.engine.docker("kill", "--signal=KILL", busy)
        left = PHOTOS - newest_job(composition)["counts"]["tagged"]
        assert left > 0, "the job ended before its worker was killed"
        output, errors = command.communicate(timeout=PATIENCE_S)
    assert command.returncode == 0, errors
    lines = [json.loads(line) for line in output.splitlines()]
    assert sorted(line["image"] for line in lines) == sorted(p.name for p in photos.iterdir())
    assert {line["state"] for line in lines} == {"tagged"}
    tell(f"a worker was killed with {left} of {PHOTOS} photos to go; all were labelled once")
    composition.up("--scale=worker=2")
    return str(job["id"])


def check_restart(composition: Composition, folder: Path, job: str) -> None:
    """Stop everything and start it again: jobs, photos and keys are there."""
    before = composition.get(f"/v1/jobs/{job}")
    began = time.monotonic()
    composition.compose("down")
    tell(f"stopped in {time.monotonic() - began:.0f} s")
    composition.up()
    assert composition.get(f"/v1/jobs/{job}")["counts"] == before["counts"]
    lines = tag(composition, folder / "photos", status=0)
    assert len(lines) == PHOTOS
    again = newest_job(composition)
    assert again["reused"] == PHOTOS, again
    tell("after a restart the same photos needed neither upload nor labelling")


def busiest_worker(composition: Composition) -> str:
    """Return the worker that holds images now."""
    names = {
        composition.inspect(one)["Config"]["Hostname"]: one
        for one in composition.containers("worker")
    }
    query = "SELECT DISTINCT split_part(claimed_by, ':', 1) FROM images WHERE state = 'running'"
    psql = ("psql", "--username=facetag", "--no-align", "--tuples-only", f"--command={query}")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for name in composition.compose("exec", "-T", "postgres", *psql, "facetag").split():
            return names[name]
    raise AssertionError("no worker holds an image")


def newest_job(composition: Composition) -> dict:
    return dict(composition.get("/v1/jobs?limit=1")["jobs"][0])


def tag(composition: Composition, photos: Path, *, status: int) -> list[dict]:
    """Label a folder by the command; returns the lines of its output."""
    with tagging(composition, photos) as command:
        output, errors = command.communicate(timeout=PATIENCE_S)
    assert command.returncode == status, errors
    return [json.loads(line) for line in output.splitlines()]


@contextmanager
def tagging(composition: Composition, photos: Path) -> Iterator["subprocess.Popen[str]"]:
    command = subprocess.Popen(
        [sys.executable, "-m", "facetag_cli.main", "tag", str(photos), "--format=jsonl"],
        env=composition.command_environment(dict(os.environ)),
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


def write_photos(folder: Path, count: int) -> None:
    """Write different portraits of the same astronaut."""
    folder.mkdir()
    photo = load_photo("astronaut.png")
    for number in range(count):
        side = 400 + number
        photo.resize((side, side)).save(folder / f"{number:04}.jpg", quality=85)


def tell(what: str) -> None:
    print(f"- {what}", flush=True)
