"""Work with the jobs of a service from Python: `facetag.Client`."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from facetag.client.api_client import ApiClient, JobView
from facetag.client.job_poll import poll_job
from facetag.client.result_stream import stream_lines
from facetag.client.service_lookup import find_service
from facetag.errors import ApiUnavailable, JobUnfinished
from facetag.results.image_lines import Line
from facetag.results.line_names import with_own_names
from facetag.results.photo_results import PhotoResults
from facetag.settings import load_settings

MOST_JOBS = 200
"""Jobs per page of the API."""


class Client:
    """Speak to the service at `url`, by default FACETAG_API_URL or a `facetag up` on this machine.

    `key` is an API key, by default FACETAG_API_KEY or the key of this machine's own service. Every
    method raises errors of `facetag.errors`, such as ApiUnavailable where nothing answers.
    """

    def __init__(self, url: str | None = None, *, key: str | None = None) -> None:
        given = {"api_url": url, "api_key": key}
        settings = load_settings(**{name: one for name, one in given.items() if one is not None})
        service = find_service(settings)
        if service is None:
            raise ApiUnavailable(
                "No service is named and none runs on this machine: give its URL, set "
                "FACETAG_API_URL, or start one with `facetag up`."
            )
        self._api = ApiClient(service)

    def jobs(self, limit: int = 50) -> "list[ServiceJob]":
        """Return the newest jobs, at most 200, the newest first."""
        return [
            ServiceJob(self._api, view) for view in self._api.list_jobs(limit=min(limit, MOST_JOBS))
        ]

    def job(self, job_id: str) -> "ServiceJob":
        """Return a job by its id; raises JobNotFound."""
        return ServiceJob(self._api, self._api.get_job(job_id))

    def start(self, prefix: str, *, name: str | None = None) -> "ServiceJob":
        """Start a job on the photos below `s3://BUCKET/PREFIX`, where they stay.

        The service must be allowed to read the bucket (FACETAG_SOURCE_BUCKETS).
        """
        key = str(uuid.uuid4())
        return ServiceJob(
            self._api, self._api.start_prefix_job(prefix, name=name, idempotency_key=key)
        )

    def predict(self, photo: str | Path) -> Line:
        """Label one photo of this machine, ahead of all jobs."""
        path = Path(photo)
        return self._api.predict(path.name, path.read_bytes()) | {"image": path.name}

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()


class ServiceJob:
    """A job of a service, as it was when the service was last asked."""

    def __init__(self, api: ApiClient, view: JobView) -> None:
        self._api = api
        self._view = view

    def __repr__(self) -> str:
        """Return the id, the state and the name."""
        return f"<ServiceJob {self.id} {self.state} {self.name!r}>"

    @property
    def id(self) -> str:
        """The job's id."""
        return self._view["id"]

    @property
    def name(self) -> str | None:
        """The job's name."""
        return self._view["name"]

    @property
    def state(self) -> str:
        """`listing`, `queued`, `running`, `completed`, `completed_with_errors`, ..."""
        return self._view["state"]

    @property
    def counts(self) -> dict[str, int]:
        """How many photos are in each state."""
        return dict(self._view["counts"])

    @property
    def total(self) -> int | None:
        """How many photos the job has; None while a prefix is being listed."""
        return self._view["total"]

    @property
    def finished(self) -> bool:
        """Whether no photo is left to label."""
        return self._view["finished_at"] is not None

    def refresh(self) -> Self:
        """Ask the service how the job stands, and return it."""
        self._view = self._api.get_job(self.id)
        return self

    def wait(self, timeout_s: float | None = None) -> Self:
        """Wait until the job has ended, and return it.

        Raises JobUnfinished after `timeout_s`, and ApiUnavailable if the service stays away.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        for view in poll_job(self._api, self.id):
            self._view = view
            if until is not None and not self.finished and time.monotonic() > until:
                raise JobUnfinished(
                    f"Job {self.id} is {self.state} after {timeout_s:g} s: wait again, or ask why "
                    "with `facetag status`."
                )
        return self

    def results(self) -> PhotoResults:
        """Return the results so far, in the order of the photos, as they stream in."""
        return PhotoResults(self._lines())

    def _lines(self) -> Iterator[Line]:
        return map(with_own_names, stream_lines(self._api, [self.id]))

    def cancel(self) -> Self:
        """Stop the job and keep its finished results."""
        self._view = self._api.cancel_job(self.id)
        return self

    def retry(self) -> Self:
        """Queue the failed photos again."""
        self._view = self._api.retry_job(self.id, only="failed")
        return self

    def delete(self) -> None:
        """Delete the job, its results, and the photos that no other job uses."""
        self._api.delete_job(self.id)
