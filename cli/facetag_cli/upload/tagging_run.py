"""Run the steps that `tag` and `upload` share: announce, send, label, and keep or delete."""

from collections.abc import Sequence

from rich.filesize import decimal

from facetag.client.api_client import ApiClient, ImageEntry, JobView
from facetag.errors import FacetagError, JobNotFound, JobStateConflict
from facetag.inputs.photo_files import LocalPhoto, PhotoFolder
from facetag.settings import Settings
from facetag_cli.client.job_progress import finished_count, labelling_time_s, wait_for_job
from facetag_cli.client.tagging_jobs import plan_jobs, start_job
from facetag_cli.client.unfinished_jobs import UnfinishedJobs, images_digest
from facetag_cli.output.delivery import plural
from facetag_cli.output.reporter import Reporter
from facetag_cli.upload.hash_cache import HashCache, default_cache_path
from facetag_cli.upload.uploader import NotSent, Uploader, UploadReport

SHOWN_FAILURES = 20


def announce(collection: PhotoFolder, reporter: Reporter) -> None:
    """Print what was found, and which folders cannot be listed."""
    size = decimal(sum(photo.size for photo in collection.photos))
    reporter.say(
        f"{plural(len(collection.photos), 'photo')} ({size}) in {collection.folder}"
        + (f", {plural(collection.skipped, 'other file')} skipped." if collection.skipped else ".")
    )
    for name in collection.closed_folders:
        reporter.warn(f"The folder {name} cannot be listed. Its photos are skipped.")


def send_photos(
    client: ApiClient, photos: Sequence[LocalPhoto], settings: Settings, reporter: Reporter
) -> UploadReport:
    """Send the photos that the service does not have, and print how many were sent."""
    size = sum(photo.size for photo in photos)
    with (
        HashCache(default_cache_path()) as hashes,
        reporter.bar("Sending", total=len(photos), size=size) as bar,
    ):
        uploader = Uploader(client, hashes, max_bytes=settings.max_image_bytes)
        report = uploader.upload(photos, bar.advance)
    reporter.say(
        f"Sent {plural(report.sent, 'photo')} ({decimal(report.sent_bytes)}); "
        f"{report.already:,} already there."
    )
    return report


def say_not_sent(photos: Sequence[LocalPhoto], report: UploadReport, reporter: Reporter) -> None:
    """Print the photos that did not reach the service, each with the reason."""
    failures = [
        (photo.name, outcome)
        for photo, outcome in zip(photos, report.outcomes, strict=True)
        if isinstance(outcome, NotSent)
    ]
    if not failures:
        return
    reporter.warn(f"{plural(len(failures), 'photo')} not sent:")
    for name, reason in failures[:SHOWN_FAILURES]:
        reporter.warn(f"  {name}: {reason.message}")
    if len(failures) > SHOWN_FAILURES:
        reporter.warn(f"  and {len(failures) - SHOWN_FAILURES} more")


class TaggingRun:
    """One run of `tag` against a service: photos in, finished jobs out.

    `leftovers` is given where the service is the run's own, so that nobody else's jobs are there.
    """

    def __init__(
        self,
        client: ApiClient,
        reporter: Reporter,
        settings: Settings,
        collection: PhotoFolder,
        *,
        leftovers: UnfinishedJobs | None,
    ) -> None:
        self.report = UploadReport()
        self.jobs: list[JobView] = []
        self.labelled_s = 0.0
        self._client = client
        self._reporter = reporter
        self._settings = settings
        self._collection = collection
        self._leftovers = leftovers

    def work(self) -> None:
        """Send and label the photos; cancel the jobs if it is stopped."""
        photos = self._collection.photos
        try:
            self.report = send_photos(self._client, photos, self._settings, self._reporter)
            self._start(
                plan_jobs(photos, self.report.outcomes, max_images=self._settings.max_job_images)
            )
            for index, job in enumerate(self.jobs):
                self.jobs[index] = wait_for_job(
                    self._client,
                    job["id"],
                    self._reporter,
                    worker_starts=self._leftovers is not None,
                )
                self._forget(job["id"])
            self.labelled_s = labelling_time_s(self.jobs)
        except KeyboardInterrupt:
            self._stop()
            raise

    def _start(self, plan: Sequence[Sequence[ImageEntry]]) -> None:
        open_jobs = self._take_leftovers({images_digest(images) for images in plan})
        for images in plan:
            digest = images_digest(images)
            job = open_jobs.pop(digest, None)
            if job is None:
                job = start_job(self._client, images, name=self._collection.title)
                if self._leftovers is not None:
                    self._leftovers.add(job["id"], digest)
            else:
                self._reporter.say(
                    f"Continuing job {job['id']} of an earlier run: {finished_count(job)} of "
                    f"{job['total']} photos are done."
                )
            self.jobs.append(job)

    def _take_leftovers(self, wanted: set[str]) -> dict[str, JobView]:
        """Return the open jobs on the wanted images, by digest; cancel the other open jobs."""
        taken: dict[str, JobView] = {}
        left = {} if self._leftovers is None else self._leftovers.read()
        for job_id, digest in left.items():
            try:
                job = self._client.get_job(job_id)
                if job["finished_at"] is None and job["state"] != "cancelled":
                    if digest in wanted and digest not in taken:
                        taken[digest] = job
                        continue
                    self._client.cancel_job(job_id)
                    self._reporter.say(
                        f"Cancelled job {job_id}, which an earlier run left unfinished."
                    )
            except (JobNotFound, JobStateConflict):
                # The job was deleted, or it ended meanwhile.
                pass
            self._forget(job_id)
        return taken

    def _forget(self, job_id: str) -> None:
        if self._leftovers is not None:
            self._leftovers.remove(job_id)

    def finish(self, *, keep: bool) -> None:
        """Delete the service's data of this run, or print what it keeps."""
        if not keep:
            for job in self.jobs:
                self._client.delete_job(job["id"])
            if self.jobs:
                self._reporter.say("Deleted the service's copies of the photos and the results.")
        elif self._leftovers is not None:
            self._reporter.say(
                f"Copies of the photos and the results are kept in {self._settings.data_dir}, so "
                "that another run sends nothing; --no-keep deletes them."
            )
        else:
            for job in self.jobs:
                self._reporter.say(f"The service keeps this as job {job['id']}.")

    def _stop(self) -> None:
        for job in self.jobs:
            try:
                ended = self._client.cancel_job(job["id"])
            except JobStateConflict:
                # The job had finished.
                continue
            except FacetagError as error:
                self._reporter.warn(f"Job {job['id']} could not be cancelled: {error}")
                continue
            self._forget(job["id"])
            self._reporter.warn(
                f"Cancelled job {job['id']}; {finished_count(ended)} of {ended['total']} photos "
                "were finished."
            )
        where = self._client.api_url if self._leftovers is None else self._settings.data_dir
        self._reporter.warn(
            f"Stopped. The photos sent so far are kept in {where}; the same command sends the rest."
        )
