"""Follow a job until it ends, and explain why if it does not start."""

import time
from collections.abc import Callable, Iterable
from datetime import datetime

from facetag.client.api_client import ApiClient, JobView
from facetag.client.job_poll import poll_job
from facetag.errors import FacetagError
from facetag_cli.reporter import Reporter

ENDING_S = 90.0
"""How long a cancelled job may take to end."""
QUIET_S = 30.0
"""How long a job may wait for its start before the user is told why."""


def finished_count(job: JobView) -> int:
    """Return how many images of a job have reached a terminal state."""
    counts = job["counts"]
    return sum(counts[state] for state in ("tagged", "no_face", "failed", "cancelled"))


def describe_counts(job: JobView) -> str:
    """Return text such as `180 tagged, 15 no face, 5 failed`, without zero counts."""
    shown = {"tagged": "tagged", "no_face": "no face", "failed": "failed", "cancelled": "cancelled"}
    counts = job["counts"]
    parts = [f"{counts[state]} {label}" for state, label in shown.items() if counts[state]]
    return ", ".join(parts) or "none finished"


def wait_until_ended(client: ApiClient, job_id: str, *, patience_s: float = ENDING_S) -> JobView:
    """Return a cancelled job once its workers have finished what they had begun.

    After `patience_s` it is returned as it is: a worker that died holds its photos for a lease.
    """
    until = time.monotonic() + patience_s
    polled = poll_job(client, job_id)
    job = next(polled)
    while job["finished_at"] is None and time.monotonic() < until:
        job = next(polled)
    return job


def labelling_time_s(jobs: Iterable[JobView]) -> float:
    """Return the seconds from the start to the end of each job, added up."""
    spans = [
        (datetime.fromisoformat(job["started_at"]), datetime.fromisoformat(job["finished_at"]))
        for job in jobs
        if job["started_at"] is not None and job["finished_at"] is not None
    ]
    return sum((ended - began).total_seconds() for began, ended in spans)


def wait_for_job(
    client: ApiClient,
    job_id: str,
    reporter: Reporter,
    *,
    worker_starts: bool = False,
    check: Callable[[], None] = lambda: None,
) -> JobView:
    """Show a progress bar until the job ends, and return the job in its final state.

    `worker_starts` says that a worker was just started for the job and loads its network first.
    `check` is called at every poll; it raises what makes waiting pointless.
    """
    hint = None if worker_starts else WaitingHint(client, reporter)
    wait = "the worker loads its network" if worker_starts else "waiting for a worker"
    with reporter.bar("Labelling", total=None) as bar:
        for job in poll_job(client, job_id):
            check()
            waiting = job["started_at"] is None and job["finished_at"] is None
            note = wait if waiting else describe_counts(job)
            bar.set(finished_count(job), total=job["total"], note=note)
            if waiting and hint is not None:
                hint.give()
    return job


class WaitingHint:
    """Explain once why a job does not start, after it has waited for `quiet_s`."""

    def __init__(
        self,
        client: ApiClient,
        reporter: Reporter,
        *,
        quiet_s: float = QUIET_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._reporter = reporter
        self._clock = clock
        self._due = clock() + quiet_s
        self._given = False

    def give(self) -> None:
        """Print the hint if it is due and was not printed yet."""
        if self._given or self._clock() < self._due:
            return
        self._given = True
        try:
            parts = self._client.readiness()
        except FacetagError:
            # `poll_job` meets the same error and reports it.
            return
        silent = [f"{part}: {said}" for part, said in parts.items() if said != "ok"]
        if silent:
            self._reporter.warn(
                f"The job waits ({'; '.join(silent)}). A new worker loads its network first. If no "
                "worker runs, start one with `facetag worker`."
            )
