"""Read the known results of a new job while its other photos are labelled."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

from facetag.client.api_client import ApiClient, JobView, Line
from facetag.client.result_stream import stream_lines
from facetag.errors import FacetagError

FEWEST_KNOWN = 100
MOST_PHOTOS = 10_000
"""Larger jobs are read at the end: their lines would take too much memory."""
MOST_OPEN = 500
"""The most photos of which the API is asked by their positions."""
OPEN_STATES = ("queued", "running")


def is_worth_reading(job: JobView, *, found: bool = False) -> bool:
    """Return whether much of a new job is known, and a little is left to label.

    Nothing need be left if the lines are perhaps `found` elsewhere than at the service.
    """
    counts = job["counts"]
    left = counts["queued"] + counts["running"]
    return (
        job["reused"] >= FEWEST_KNOWN
        and (0 < left <= MOST_OPEN or (found and left == 0))
        and (job["total"] or 0) <= MOST_PHOTOS
    )


class EarlyResults:
    """Read a job's results at once, in a thread, and at the job's end only what has changed.

    The job is new: a photo's line changes once the photo is labelled, or if it repeats another one,
    which is known at the end. A photo's position is its place among the lines as long as there are
    as many as the job has photos: if one was purged, all lines are read at the end. `find` may find
    the lines elsewhere than at the service; if it raises OSError or ValueError, they are read
    there.
    """

    def __init__(
        self, client: ApiClient, job: JobView, find: Callable[[], list[Line]] | None = None
    ) -> None:
        self._client = client
        self._job_id = job["id"]
        self._total = job["total"]
        self._find = find
        self._read: list[Line] | None = None
        self._thread = threading.Thread(target=self._run, name="early-results", daemon=True)
        self._thread.start()

    def lines(self) -> Iterator[Line]:
        """Yield all lines of the job, which has ended, as the API would give them now."""
        self._thread.join()
        if self._read is None or not self._settle(self._read):
            yield from stream_lines(self._client, [self._job_id])
        else:
            yield from self._read

    def _settle(self, lines: list[Line]) -> bool:
        """Replace the lines that may have changed; return False if one that was open is gone."""
        still_open = {place for place, line in enumerate(lines) if line["state"] in OPEN_STATES}
        # Where no position is asked for, all images would come.
        for line in self._client.list_settled(self._job_id, sorted(still_open) or [0]):
            place = line.pop("position")
            lines[place] = line
            still_open.discard(place)
        return not still_open

    def _run(self) -> None:
        with suppress(FacetagError, ValueError, RuntimeError):
            # All is read at the end, and a fault is told then. The command may also have ended.
            lines = self._found() or list(stream_lines(self._client, [self._job_id]))
            if len(lines) == self._total:
                self._read = lines

    def _found(self) -> list[Line] | None:
        """Return the lines that were found elsewhere, unless too many of them are open."""
        if self._find is None:
            return None
        with suppress(OSError, ValueError):
            lines = self._find()
            if sum(line["state"] in OPEN_STATES for line in lines) <= MOST_OPEN:
                return lines
        return None
