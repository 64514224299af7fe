"""Stop and start the services, and restore a backup into new ones."""

import subprocess
import sys
import time
from pathlib import Path

from tests.containers.composition import Composition, tell
from tests.containers.labelling_runs import newest_job, tag

AWS = "awscli>=1.44,<2"
"""Its libraries are of other versions than ours, so it gets an environment of its own."""


def check_restart(composition: Composition, folder: Path, job: str) -> None:
    """Stop everything and start it again: jobs, photos and keys are there."""
    before = composition.get(f"/v1/jobs/{job}")
    began = time.monotonic()
    composition.shell("docker compose down")
    tell(f"stopped in {time.monotonic() - began:.0f} s")
    composition.up()
    assert composition.get(f"/v1/jobs/{job}")["counts"] == before["counts"]
    check_known(composition, folder / "photos")
    tell("after a restart the same photos needed neither upload nor labelling")


def check_restore(composition: Composition, folder: Path, job: str) -> None:
    """Back up, lose everything, and restore into new servers: jobs, photos and keys are there."""
    before = composition.get(f"/v1/jobs/{job}")
    aws = install_aws(composition)
    composition.shell(
        "docker compose exec -T postgres pg_dump --format=custom --username=facetag facetag"
        " > backup.dump"
    )
    composition.shell("aws s3 sync s3://facetag copy/facetag", **aws)
    composition.shell("aws s3 sync s3://facetag-operator copy/facetag-operator", **aws)
    composition.compose("down", "--volumes")
    composition.compose("up", "--detach", "--no-build", "--wait", "postgres", "s3")
    for bucket in ("facetag", "facetag-operator"):
        composition.shell(
            f"aws s3 mb s3://{bucket} && aws s3 sync copy/{bucket} s3://{bucket}", **aws
        )
    composition.shell(
        "docker compose exec -T postgres pg_restore --no-owner --username=facetag --dbname=facetag"
        " < backup.dump"
    )
    repaired = composition.shell("docker compose run --rm --no-deps sweeper sweep --repair")
    composition.shell("docker compose up --detach")
    composition.wait_ready()
    assert composition.get(f"/v1/jobs/{job}")["counts"] == before["counts"]
    check_known(composition, folder / "photos")
    number = sum(path.is_file() for path in (composition.work / "copy").rglob("*"))
    tell(f"restored a dump and {number} objects into new servers; repair: {repaired.strip()}")


def check_known(composition: Composition, photos: Path) -> None:
    """Label a folder again: all of its results are known."""
    number = len(tag(composition, photos, status=0))
    assert number == len(list(photos.iterdir()))
    again = newest_job(composition)
    assert again["reused"] == number, again


def install_aws(composition: Composition) -> dict[str, str]:
    """Install Amazon's client from PyPI; returns the variables with which it asks our storage."""
    home = composition.work / "aws"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    subprocess.run([str(home / "bin" / "pip"), "install", "-q", AWS], check=True)
    (composition.programs / "aws").symlink_to(home / "bin" / "aws")
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{composition.s3_port}",
        "AWS_ACCESS_KEY_ID": "facetag",
        "AWS_SECRET_ACCESS_KEY": composition.settings["S3_SECRET_KEY"],
        "AWS_DEFAULT_REGION": "us-east-1",
    }
