"""Reads a collection's result lines from a job of the service or from a file of results."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from facetag.bundles.bundle_folder import DEFAULT_FOLDER, read_manifest
from facetag.client.api_client import ApiClient, Line
from facetag.client.result_stream import stream_lines
from facetag.client.service_lookup import find_service
from facetag.errors import FacetagError
from facetag.quantification.collection import Collection, gather
from facetag.quantification.held_out import HeldOut
from facetag.settings import Settings
from facetag_cli.client.job_reference import find_job
from facetag_cli.client.kept_jobs import open_jobs
from facetag_cli.output.reporter import Reporter


def read_collection(source: str, settings: Settings, reporter: Reporter) -> Collection:
    """Return the collection of a jsonl file of results, or of a job.

    A job is named by its id, its first digits, or `latest`. Raises FacetagError for what is
    neither, and for a file that holds other lines.
    """
    path = Path(source)
    if path.is_file():
        return gather(read_lines(path))
    if path.suffix:
        raise FacetagError(
            f"There is no file {source}: give a job's id, or a file that `facetag tag --format "
            "jsonl --output FILE` wrote."
        )
    with open_jobs(settings, reporter) as jobs:
        job = find_job(jobs.client, source)
        return gather(stream_lines(jobs.client, [job["id"]]))


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the result lines of a jsonl file; raises FacetagError for a line that is none."""
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                line = json.loads(text)
                line["state"], line["model"], line["faces"]
            except (ValueError, TypeError, KeyError) as error:
                raise FacetagError(
                    f"Line {number} of {path} is no result of a photo: give a file that `facetag "
                    "tag --format jsonl` wrote."
                ) from error
            yield line


def find_held_out(version: str, settings: Settings) -> HeldOut:
    """Return the held-out faces of the bundle with this version.

    The bundle on this machine is asked first, then the service. Raises QuantificationUnavailable
    where the bundle keeps none, and FacetagError where nobody knows the bundle.
    """
    return HeldOut.from_manifest(_find_manifest(version, settings))


def _find_manifest(version: str, settings: Settings) -> dict[str, Any]:
    folder = settings.bundle or DEFAULT_FOLDER
    if folder.is_dir():
        manifest = read_manifest(folder)
        if manifest["version"] == version:
            return manifest
    service = find_service(settings)
    if service is None:
        raise FacetagError(
            f"The bundle {version}, which labelled these photos, is not in {folder}, and no "
            "service runs that could know it: set FACETAG_BUNDLE to its folder."
        )
    with ApiClient(service) as client:
        return dict(client.get_bundle(version)["manifest"])
