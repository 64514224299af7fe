"""Go on with the jobs that ended runs of `tag` left, or end them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from facetag.client.api_client import ApiClient, ImageEntry, JobView, KnownEntries
from facetag.errors import Conflict, JobNotFound, JobStateConflict, RequestRejected
from facetag_cli.client.job_progress import wait_until_ended
from facetag_cli.client.unfinished_jobs import REQUEST, UnfinishedJobs, is_running
from facetag_cli.reporter import Reporter


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job to start: its digest, its images, and how they divide into new and known ones."""

    digest: str
    images: Sequence[ImageEntry]
    others: Sequence[ImageEntry]
    known: KnownEntries | None


Ask = Callable[[PlannedJob, str], JobView]
"""Starts a job, or returns the first answer to the same request as before.

Raises Conflict and RequestRejected.
"""


class LeftoverJobs:
    """Take the open jobs that ended runs left in the notes."""

    def __init__(
        self, client: ApiClient, reporter: Reporter, notes: UnfinishedJobs, ask: Ask
    ) -> None:
        self._client = client
        self._reporter = reporter
        self._notes = notes
        self._ask = ask

    def take(
        self, planned: Sequence[PlannedJob], *, place: str | None
    ) -> dict[str, tuple[str, JobView]]:
        """Return the open jobs on the planned images, by digest, with their names in the notes.

        Other open jobs on the photos of this place, or on any photos without one, are cancelled, as
        are those that lack a photo by now. They have ended when this returns, so that their results
        are known.
        """
        wanted = {one.digest: one for one in planned}
        taken: dict[str, tuple[str, JobView]] = {}
        for name, left in self._notes.read().items():
            if is_running(left.owner) or place not in (None, left.place):
                continue
            try:
                job = self._find(name, wanted.get(left.digest))
                if job["finished_at"] is None and job["state"] != "cancelled":
                    if left.digest not in taken and _is_whole(job, wanted.get(left.digest)):
                        taken[left.digest] = name, job
                        continue
                    self._client.cancel_job(job["id"])
                    self._reporter.say(
                        f"Cancelled job {job['id']}, which an earlier run left unfinished."
                    )
                wait_until_ended(self._client, job["id"])
            except (JobNotFound, JobStateConflict):
                # The job was deleted, or it ended meanwhile.
                pass
            self._notes.remove(name)
        return taken

    def _find(self, name: str, planned: PlannedJob | None) -> JobView:
        """Return the job of a name in the notes; raises JobNotFound.

        A request is made again: the service then adds what its job still lacks.
        """
        if not name.startswith(REQUEST):
            return self._client.get_job(name)
        if planned is None:
            raise JobNotFound(f"Only the service knows the job of {name}.")
        try:
            first_answer = self._ask(planned, name)
        except (Conflict, RequestRejected) as error:
            raise JobNotFound(f"The service refuses {name} by now.") from error
        return self._client.get_job(first_answer["id"])


def _is_whole(job: JobView, planned: PlannedJob | None) -> bool:
    return planned is not None and job["total"] == len(planned.images)
