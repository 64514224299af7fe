"""Read the known results of a new job while its other photos are labelled."""

import threading
from collections.abc import Iterator

from facetag.client.api_client import ApiClient, JobView, Line
from facetag.client.result_stream import stream_lines
from facetag.errors import FacetagError

FEWEST_KNOWN = 100
MOST_PHOTOS = 10_000
"""Larger jobs are read at the end: their lines would take too much memory."""
MOST_OPEN = 500
"""The most photos of which the API is asked by their positions."""
OPEN_STATES = ("queued", "running")


def is_worth_reading(job: JobView) -> bool:
    """Return whether much of a new job is known, and a little is left to label."""
    counts = job["counts"]
    left = counts["queued"] + counts["running"]
    return (
        job["reused"] >= FEWEST_KNOWN
        and 0 < left <= MOST_OPEN
        and (job["total"] or 0) <= MOST_PHOTOS
    )


class EarlyResults:
    """Read a job's results at once, in a thread, and at the job's end only what has changed.

    The job is new: a photo's line changes once the photo is labelled, or if it repeats another one,
    which is known at the end.
    """

    def __init__(self, client: ApiClient, job_id: str) -> None:
        self._client = client
        self._job_id = job_id
        self._read: list[Line] | None = None
        self._thread = threading.Thread(target=self._run, name="early-results", daemon=True)
        self._thread.start()

    def lines(self) -> Iterator[Line]:
        """Yield all lines of the job, which has ended, as the API would give them now."""
        self._thread.join()
        if self._read is None:
            yield from stream_lines(self._client, [self._job_id])
            return
        still_open = [
            place for place, line in enumerate(self._read) if line["state"] in OPEN_STATES
        ]
        for line in self._client.list_settled(self._job_id, still_open):
            self._read[line.pop("position")] = line
        yield from self._read

    def _run(self) -> None:
        try:
            self._read = list(stream_lines(self._client, [self._job_id]))
        except (FacetagError, ValueError, RuntimeError):
            # All is read at the end, and a fault is told then. The command may also have ended.
            self._read = None
