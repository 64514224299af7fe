"""Find the job that a person means by an id, its first digits, or `latest`."""

import re
import uuid
from collections.abc import Sequence

from facetag.client.api_client import ApiClient, JobView
from facetag.errors import JobNotFound

LATEST = "latest"
SHORT_DIGITS = 8
SHOWN_CANDIDATES = 5


def find_job(client: ApiClient, reference: str) -> JobView:
    """Return the job; raise JobNotFound if there is none, or if several ids begin so."""
    if reference == LATEST:
        newest = client.list_jobs(limit=1)
        if not newest:
            raise JobNotFound("There are no jobs yet: `facetag tag FOLDER` makes one.")
        return newest[0]
    if (full := full_id(reference)) is not None:
        return client.get_job(full)
    if not re.fullmatch("[0-9a-f-]+", reference.lower()):
        raise JobNotFound(
            f"{reference} is not a job: give its id, the first digits of its id, or `latest`. "
            "`facetag jobs` lists the jobs."
        )
    found = client.list_jobs(limit=SHOWN_CANDIDATES, id_prefix=reference.lower())
    if not found:
        raise JobNotFound(f"No job's id begins with {reference}. `facetag jobs` lists the jobs.")
    if len(found) > 1:
        shown = "; ".join(
            f"{short} ({job['name']})" if job["name"] else short
            for job, short in zip(found, short_ids(found), strict=True)
        )
        raise JobNotFound(
            f"Several jobs begin with {reference}, such as {shown}. Give more digits of the id."
        )
    return found[0]


def full_id(reference: str) -> str | None:
    """Return a whole id in its usual form; None for a part of one."""
    try:
        return str(uuid.UUID(reference))
    except ValueError:
        return None


def short_ids(jobs: Sequence[JobView]) -> list[str]:
    """Return the first digits of each job's id, as many as tell these jobs apart."""
    digits = SHORT_DIGITS
    while len({job["id"][:digits] for job in jobs}) < len({job["id"] for job in jobs}):
        digits += 1
    return [job["id"][:digits] for job in jobs]
