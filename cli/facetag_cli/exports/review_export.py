"""Fetch the reviewed faces of a job, with their photos, into a training shard."""

from collections.abc import Callable
from pathlib import Path

import httpx

from facetag.client.api_client import ApiClient, make_http
from facetag.errors import StorageUnavailable
from facetag.settings import Settings
from facetag_cli.client.job_reference import find_job
from facetag_cli.client.kept_jobs import open_jobs
from facetag_cli.exports.review_shard import write_review_shard
from facetag_cli.reporter import Reporter


def export_reviews(
    settings: Settings, job: str, output: Path, reporter: Reporter
) -> tuple[int, int]:
    """Write the shard; return faces written and left out.

    `job` is an id, its first digits, or `latest`. Raises ShardUnreadable if there is no face to
    write, and StorageUnavailable.
    """
    with open_jobs(settings, reporter) as jobs:
        job_id = find_job(jobs.client, job)["id"]
        return write_review_shard(
            jobs.client.list_reviewed(job_id), _photos_of(jobs.client, job_id), output, settings
        )


def _photos_of(client: ApiClient, job_id: str) -> Callable[[int], bytes]:
    """Return the function that fetches the photo at a position from object storage."""

    def read_photo(position: int) -> bytes:
        url = client.photo_url(job_id, position)
        try:
            with make_http(url) as store:
                answer = store.get(url)
                answer.raise_for_status()
        except httpx.HTTPError as error:
            raise StorageUnavailable(
                f"The photo at position {position} cannot be fetched from object storage: try "
                f"again. ({error})"
            ) from error
        return answer.content

    return read_photo
