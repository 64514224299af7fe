"""Lead the services of docker-compose.yml through their life, from an upgrade to a restored backup.

Each step checks what it did by assertions, and tells in one line what held.
"""

import io
import tarfile
import time
from pathlib import Path

from benchmarks.samples import EXPECTED, load_photo, write_samples
from tests.containers.composition import Composition, tell
from tests.containers.labelling_runs import (
    PATIENCE_S,
    check_all_tagged,
    newest_job,
    tag,
    tagging,
    wait_for_labels,
    write_photos,
)
from tests.containers.restoration import check_restart, check_restore
from tests.containers.upgrade import check_upgrade

MOST_MB = {"facetag-api:0.1.0": 250, "facetag-worker:0.1.0": 1600, "facetag-trainer:0.1.0": 2000}
"""The most megabytes (10**6 bytes) of each image."""
OURS = ("api", "worker", "sweeper", "trainer")
CHECKED = ("api", "worker", "sweeper", "postgres", "redis", "s3")
FACES = 60
"""Labelled faces of a new shard."""
PHOTOS = 480


def live(composition: Composition, folder: Path) -> None:
    """Build, start, use, hurt, stop and start again; raises AssertionError where a step fails."""
    composition.compose("build", "api", "worker", "trainer")
    check_sizes(composition)
    check_upgrade(composition, folder)
    began = time.monotonic()
    composition.up()
    tell(f"ready {time.monotonic() - began:.0f} s after `up`")
    check_confinement(composition)
    check_samples(composition, folder)
    for service in CHECKED:
        composition.wait_healthy(service)
    tell(f"healthy: {', '.join(CHECKED)}")
    job = check_lost_worker(composition, folder)
    check_retraining(composition)
    check_restart(composition, folder, job)
    check_restore(composition, folder, job)


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
    write_photos(folder / "Pictures", 2)
    command = "FACETAG_API_URL=http://localhost:8000 facetag tag ~/Pictures"
    table = composition.shell(command.replace("8000", str(composition.api_port)))
    assert all(photo.name in table for photo in (folder / "Pictures").iterdir()), table


def check_lost_worker(composition: Composition, folder: Path) -> str:
    """Kill one of two workers in the middle of a job: the other ends it. Returns the job's id."""
    composition.shell("docker compose up --detach --scale worker=2")
    photos = folder / "photos"
    write_photos(photos, PHOTOS)
    with tagging(composition, photos) as command:
        job = wait_for_labels(composition, command, PHOTOS)
        busy = busiest_worker(composition)
        composition.engine.docker("kill", "--signal=KILL", busy)
        left = PHOTOS - newest_job(composition)["counts"]["tagged"]
        assert left > 0, "the job ended before its worker was killed"
        output, errors = command.communicate(timeout=PATIENCE_S)
    assert command.returncode == 0, errors
    check_all_tagged(output, photos)
    tell(f"a worker was killed with {left} of {PHOTOS} photos to go; all were labelled once")
    composition.shell("docker compose up --detach --scale worker=2")
    return str(job["id"])


def busiest_worker(composition: Composition) -> str:
    """Return the worker that holds images now."""
    names = {
        composition.inspect(one)["Config"]["Hostname"]: one
        for one in composition.containers("worker")
    }
    query = "SELECT DISTINCT split_part(claimed_by, ':', 1) FROM images WHERE state = 'running'"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for name in composition.ask_database(query):
            return names[name]
    raise AssertionError("no worker holds an image")


def check_retraining(composition: Composition) -> None:
    """Queue a retraining for the trainer, cancel it, and read its log to the end."""
    data = composition.work / "data"
    data.mkdir(mode=0o755)
    write_shard(data / "new.tar", FACES)
    composition.shell(
        'docker compose run --rm --no-deps --volume "$PWD/data:/data" trainer retrain'
        " /data/new.tar --replay 0 --queue"
    )
    cancelled = composition.compose("run", "--rm", "--no-deps", "trainer", "retrainings", "cancel")
    composition.shell("docker compose run --rm --no-deps trainer retrainings log --follow")
    models = composition.shell("docker compose run --rm trainer models list")
    assert "champion" in models, models
    tell(f"a retraining was queued and cancelled: {cancelled.strip()}")


def write_shard(path: Path, faces: int) -> None:
    """Write a labelled shard as UTKFace names its images: age, gender, race, time."""
    photo = load_photo("astronaut.png")
    with tarfile.open(path, "w") as shard:
        for number in range(faces):
            side = 200 + number
            written = io.BytesIO()
            photo.resize((side, side)).save(written, "JPEG")
            entry = tarfile.TarInfo(f"{20 + number}_{number % 2}_{number % 5}_2017{number:013}.jpg")
            entry.size = written.tell()
            written.seek(0)
            shard.addfile(entry, written)
