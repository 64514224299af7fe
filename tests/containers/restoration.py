"""Stop and start the services, and restore a backup into new ones."""

import time
from pathlib import Path
from typing import Any

import boto3

from tests.containers.composition import Composition, tell
from tests.containers.labelling_runs import newest_job, tag


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
    composition.shell(
        "docker compose exec -T postgres pg_dump --format=custom --username=facetag facetag"
        " > backup.dump"
    )
    copies = copy_of_buckets(composition)
    composition.compose("down", "--volumes")
    composition.compose("up", "--detach", "--no-build", "--wait", "postgres", "s3")
    storage = object_storage(composition)
    for bucket, objects in copies.items():
        storage.create_bucket(Bucket=bucket)
        for key, body in objects.items():
            storage.put_object(Bucket=bucket, Key=key, Body=body)
    composition.shell(
        "docker compose exec -T postgres pg_restore --no-owner --username=facetag --dbname=facetag"
        " < backup.dump"
    )
    repaired = composition.shell("docker compose run --rm --no-deps sweeper sweep --repair")
    composition.shell("docker compose up --detach")
    composition.wait_ready()
    assert composition.get(f"/v1/jobs/{job}")["counts"] == before["counts"]
    check_known(composition, folder / "photos")
    number = sum(len(objects) for objects in copies.values())
    tell(f"restored a dump and {number} objects into new servers; repair: {repaired.strip()}")


def check_known(composition: Composition, photos: Path) -> None:
    """Label a folder again: all of its results are known."""
    number = len(tag(composition, photos, status=0))
    assert number == len(list(photos.iterdir()))
    again = newest_job(composition)
    assert again["reused"] == number, again


def copy_of_buckets(composition: Composition) -> dict[str, dict[str, bytes]]:
    """Return all objects of object storage by bucket and key."""
    storage = object_storage(composition)
    return {
        bucket["Name"]: {
            found["Key"]: storage.get_object(Bucket=bucket["Name"], Key=found["Key"])["Body"].read()
            for page in storage.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"])
            for found in page.get("Contents", [])
        }
        for bucket in storage.list_buckets()["Buckets"]
    }


def object_storage(composition: Composition) -> Any:
    """Return an S3 client with the operator's identity."""
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{composition.s3_port}",
        aws_access_key_id="facetag",
        aws_secret_access_key=composition.settings["S3_SECRET_KEY"],
        region_name="us-east-1",
    )
