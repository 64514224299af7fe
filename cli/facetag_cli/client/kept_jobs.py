"""Open the API for commands on jobs: that of a running service, or of the local servers alone."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from facetag.client.api_client import ApiClient, JobView, Service
from facetag.client.service_lookup import find_service
from facetag.errors import ApiUnavailable
from facetag.settings import Settings
from facetag_cli.client.job_progress import wait_for_job
from facetag_cli.reporter import STOPPED_AT_START, Reporter


@dataclass(frozen=True, slots=True)
class OpenedJobs:
    """The API's client; `own` says that this command started the servers and will stop them."""

    client: ApiClient
    own: bool

    def finish(self, job: JobView, reporter: Reporter) -> JobView:
        """Return a job, at its end if only this command's own worker can bring it there."""
        if not self.own or job["finished_at"] is not None:
            return job
        with self.cancel_on_stop(job, reporter):
            return wait_for_job(self.client, job["id"], reporter, worker_starts=True)

    @contextmanager
    def cancel_on_stop(self, job: JobView, reporter: Reporter) -> Iterator[None]:
        """Cancel a job that only this command's own worker labels if Ctrl-C ends the body."""
        try:
            yield
        except KeyboardInterrupt:
            if self.own:
                # Otherwise the next command with a worker would go on with it unasked.
                self.client.cancel_job(job["id"])
                reporter.warn(
                    f"Cancelled the job again: `facetag resume {job['id']}` goes on with it."
                )
            raise


@contextmanager
def open_jobs(
    settings: Settings, reporter: Reporter, *, works: bool = False
) -> Iterator[OpenedJobs]:
    """Open the jobs of a running service, or those that `facetag tag` kept in the data folder.

    For the latter the local servers are started, with a worker only if the command `works` on
    photos. Raise ApiUnavailable if there is neither.
    """
    running = find_service(settings)
    if running is not None:
        with ExitStack() as stack:
            if running.lingers:
                from facetag.standalone.servers.local_server import Folders
                from facetag.standalone.service_users import mark_use

                stack.enter_context(mark_use(Folders(settings.data_dir).run))
            yield OpenedJobs(stack.enter_context(ApiClient(running)), own=False)
        return
    if not holds_jobs(settings):
        raise ApiUnavailable(
            f"No service runs on {settings.data_dir}, and no jobs are kept there. Make one with "
            "`facetag tag FOLDER`, start a service with `facetag up`, or set FACETAG_API_URL to "
            "the address of a running service."
        )
    from facetag_cli.client.local_service import LocalService

    with ExitStack() as stack:
        with reporter.explain_stop(STOPPED_AT_START):
            reporter.say(f"Starting the servers of {settings.data_dir} for this command.")
            local = stack.enter_context(LocalService(settings, workers=int(works)))
        client = stack.enter_context(ApiClient(Service(local.api_url, local.key, own=True)))
        yield OpenedJobs(client, own=True)


def holds_jobs(settings: Settings) -> bool:
    """Return whether jobs may be kept, in the data folder or a database of the user's own."""
    return bool(settings.database_url) or (settings.data_dir / "postgresql").is_dir()
