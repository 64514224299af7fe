"""Read a collection's results from a job, from a file, or by labelling a folder of photos."""

import json
from collections.abc import Iterator
from pathlib import Path

from facetag.client.api_client import ApiClient, Line
from facetag.client.result_stream import stream_lines
from facetag.errors import FacetagError
from facetag.image_formats import IMAGE_SUFFIXES
from facetag.inputs.photo_files import collect_photos, no_photos
from facetag.inputs.tar_photos import TAR_SUFFIX
from facetag.quantification.collection import Collection, gather
from facetag.settings import Settings
from facetag_cli.client.job_reference import find_job
from facetag_cli.client.kept_jobs import open_jobs
from facetag_cli.client.service_choice import use_service
from facetag_cli.params.interrupts import stop_on_sigterm
from facetag_cli.reporter import Reporter
from facetag_cli.tagging.tagging_run import TaggingRun, announce

_PHOTOS = IMAGE_SUFFIXES | {TAR_SUFFIX}


def read_collection(source: str, settings: Settings, reporter: Reporter) -> Collection:
    """Return the collection of a jsonl file of results, of a job, or of photos.

    A job is named by its id, its first digits, or `latest`. A folder, a tar or a photo is labelled
    first. Raises FacetagError for what is none of these, and for a file that holds other lines.
    """
    path = Path(source)
    if path.is_dir() or (path.is_file() and path.suffix.lower() in _PHOTOS):
        return _label_photos(path, settings, reporter)
    if path.is_file():
        return _gather_file(path)
    if path.suffix:
        raise FacetagError(
            f"There is no file {source}: give a job's id, or a file that `facetag tag --format "
            "jsonl --output FILE` wrote."
        )
    with open_jobs(settings, reporter) as jobs:
        job = find_job(jobs.client, source)
        return gather(stream_lines(jobs.client, [job["id"]]))


def _label_photos(path: Path, settings: Settings, reporter: Reporter) -> Collection:
    found = collect_photos(path)
    if not found.photos:
        raise FacetagError(no_photos(found))
    announce(found, reporter)
    with (
        stop_on_sigterm(),
        use_service(settings, reporter) as service,
        ApiClient(service) as client,
    ):
        run = TaggingRun(client, reporter, settings, found, own=service.own, reuse=True)
        run.work()
        collection = gather(run.lines())
        run.finish(keep=True)
    return collection


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the result lines of a jsonl file; raises FacetagError for a line that is none."""
    return (line for _, line in _numbered_lines(path))


def _gather_file(path: Path) -> Collection:
    collection = Collection()
    number = 0
    for number, line in _numbered_lines(path):
        try:
            collection.add(line)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise _no_result(number, path) from error
    if not number:
        raise FacetagError(f"{path} holds no results: it is empty.")
    return collection


def _numbered_lines(path: Path) -> Iterator[tuple[int, Line]]:
    # Bytes that are not UTF-8 become text that is no JSON.
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                line = json.loads(text)
                line["state"], line["model"], line["faces"]
            except (ValueError, TypeError, KeyError) as error:
                raise _no_result(number, path) from error
            yield number, line


def _no_result(number: int, path: Path) -> FacetagError:
    return FacetagError(
        f"Line {number} of {path} is not a result of a photo: give a file that "
        "`facetag tag --format jsonl` wrote."
    )
