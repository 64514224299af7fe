"""Measure how fast `facetag upload` sends small files, compared with a bare boto3 thread pool.

    python -m benchmarks.upload_speed
    python -m benchmarks.upload_speed --files 1000 --rounds 3

Both send the same files to the same local object storage, in turns. The pool uses `put_object`
with keys of its own and as many threads as the command. The command is timed from the start of its
process to its end, including the hashing of a first run. A second upload of the same files is timed
too.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import boto3
import click
from botocore.config import Config

from benchmarks.harness.local_api import LocalApi, serve_api
from benchmarks.harness.machine import describe_machine, in_words
from facetag_cli.upload.uploader import SEND_THREADS

FOLDER_FILES = 500


@click.command(help=__doc__)
@click.option("--files", default=10_000, show_default=True, help="Number of files to send.")
@click.option("--bytes", "size", default=10_000, show_default=True, help="Bytes per file.")
@click.option("--rounds", default=5, show_default=True, help="Rounds to take medians over.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table",
              show_default=True, help="Output format.")  # fmt: skip
def main(files: int, size: int, rounds: int, format_: str) -> None:
    """Measure in turns and print the figures."""
    machine = describe_machine()
    rates: dict[str, list[float]] = {"boto3": [], "upload": [], "upload again": []}
    with tempfile.TemporaryDirectory() as folder, serve_api(Path(folder) / "data") as api:
        for number in range(rounds):
            photos = Path(folder) / f"photos-{number}"
            write_files(photos, files, size, seed=number)
            ways: dict[str, Callable[[], None]] = {
                "boto3": lambda photos=photos: put_all(api, photos),  # type: ignore[misc]
                "upload": lambda photos=photos: upload(api, photos),  # type: ignore[misc]
            }
            # Whichever goes first finds an emptier store.
            for name in list(ways) if number % 2 == 0 else reversed(list(ways)):
                rates[name].append(files / seconds_of(ways[name]))
            rates["upload again"].append(files / seconds_of(ways["upload"]))
    ratio = median(rates["upload"]) / median(rates["boto3"])
    report: dict[str, Any] = {
        "machine": machine, "files": files, "bytes": size, "rounds": rounds,
        "files_per_s": {name: round(median(values), 1) for name, values in rates.items()},
        "upload_over_boto3": round(ratio, 3),
    }  # fmt: skip
    if format_ == "json":
        click.echo(json.dumps(report, indent=2))
        return
    click.echo(in_words(machine))
    for name, rate in report["files_per_s"].items():
        click.echo(f"{name:14}{rate:8.1f} files per second")
    click.echo(f"upload / boto3: {report['upload_over_boto3']} (of the medians of {rounds} rounds)")


def write_files(folder: Path, files: int, size: int, seed: int) -> None:
    """Write files that all differ, some hundred per folder."""
    content = random.Random(seed)
    for number in range(files):
        place = folder / f"{number // FOLDER_FILES:03}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:06}.jpg").write_bytes(b"\xff\xd8\xff" + content.randbytes(size - 3))


def put_all(api: LocalApi, folder: Path) -> None:
    """Send all files with a thread pool and nothing else."""
    settings = api.settings
    assert settings.s3_access_key is not None
    assert settings.s3_secret_key is not None
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key.get_secret_value(),
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        config=Config(max_pool_connections=SEND_THREADS),
    )
    prefix = uuid.uuid4().hex

    def put(path: Path) -> None:
        client.put_object(
            Bucket=settings.s3_bucket,
            Key=f"bare/{prefix}/{path.name}",
            Body=path.read_bytes(),
            ContentType="image/jpeg",
        )

    with ThreadPoolExecutor(SEND_THREADS) as threads:
        list(threads.map(put, sorted(folder.rglob("*.jpg"))))


def upload(api: LocalApi, folder: Path) -> None:
    """Send all files with the command; hashes are cached next to the service's data."""
    subprocess.run(
        [sys.executable, "-m", "facetag_cli.main", "upload", "--no-tag", "--quiet", str(folder)],
        env=os.environ
        | {"FACETAG_API_URL": api.url, "FACETAG_API_KEY": api.key}
        | {"XDG_CACHE_HOME": str(folder.parent / "cache")},
        check=True,
    )


def seconds_of(act: Callable[[], None]) -> float:
    """Return the seconds that a call takes, after pending disk writes are done."""
    os.sync()
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
