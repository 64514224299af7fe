"""Ask for a job again and again until it has ended."""

import time
from collections.abc import Iterator

from facetag.client.api_client import ApiClient, JobView
from facetag.errors import ApiUnavailable

FIRST_POLL_S = 0.02
SLOWEST_POLL_S = 1.0
OF_THE_WAIT = 0.1
"""A pause lasts this share of the time waited so far: the end of a short job is seen soon."""
PATIENCE_S = 60.0
"""How long the service may be unreachable, as in a restart, before an error is raised."""


def poll_job(
    client: ApiClient, job_id: str, *, patience_s: float = PATIENCE_S
) -> Iterator[JobView]:
    """Yield the job again and again, the last time in its final state.

    Raise ApiUnavailable once the service has been unreachable for `patience_s`.
    """
    began = time.monotonic()
    away_since: float | None = None
    while True:
        try:
            job = client.get_job(job_id)
        except ApiUnavailable:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > patience_s:
                raise
        else:
            away_since = None
            yield job
            # A cancelled job ends when its workers have finished the images that they had begun.
            if job["finished_at"] is not None:
                return
        waited_s = time.monotonic() - began
        time.sleep(min(max(OF_THE_WAIT * waited_s, FIRST_POLL_S), SLOWEST_POLL_S))
