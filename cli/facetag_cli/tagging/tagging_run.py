"""Run the steps that `tag` and `upload` share: announce, send, label, and keep or delete."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from shlex import quote

from rich.filesize import decimal

from facetag.client.api_client import NO_WISH, ApiClient, ImageEntry, JobView, JobWish, Line
from facetag.client.result_stream import stream_lines
from facetag.disk_space import SPACE_TO_GO_ON, SPACE_TO_WORK, require_space
from facetag.errors import (
    Conflict,
    ErrorCode,
    FacetagError,
    JobStateConflict,
    RequestRejected,
)
from facetag.inputs.photo_files import FoundPhotos, LocalPhoto
from facetag.settings import Settings
from facetag_cli.client.earlier_job import NO_JOB, EarlierJob, LabelledFolders
from facetag_cli.client.earlier_output import EarlierOutput
from facetag_cli.client.early_results import EarlyResults, is_worth_reading
from facetag_cli.client.job_progress import (
    finished_count,
    labelling_time_s,
    wait_for_job,
)
from facetag_cli.client.job_reference import short_ids
from facetag_cli.client.tagging_jobs import merge_lines, name_in_job, plan_jobs, start_job
from facetag_cli.client.unfinished_jobs import (
    UnfinishedJob,
    UnfinishedJobs,
    images_digest,
    new_request,
    this_process,
    unfinished_path,
)
from facetag_cli.reporter import Reporter, plural
from facetag_cli.tagging.leftover_jobs import LeftoverJobs, PlannedJob
from facetag_cli.upload.hash_cache import HashCache, default_cache_path
from facetag_cli.upload.uploader import NotSent, Uploader, UploadReport

SHOWN_FAILURES = 20


def announce(collection: FoundPhotos, reporter: Reporter) -> None:
    """Print what was found, and which folders cannot be listed."""
    size = decimal(sum(photo.size for photo in collection.photos))
    reporter.say(
        f"{plural(len(collection.photos), 'photo')} ({size}) in {collection.place}"
        + (f", {collection.describe_skipped()}." if collection.skipped else ".")
    )
    for name in collection.closed_folders:
        reporter.warn(f"The folder {name} cannot be listed. Its photos are skipped.")
    for name in collection.foreign_links:
        reporter.warn(f"The link {name} was made by another user. Its photos are skipped.")


def say_unsearched(collection: FoundPhotos, reporter: Reporter) -> None:
    """Print at the end how many folders were not searched, and what to do about them."""
    if collection.closed_folders:
        reporter.warn(
            f"{plural(len(collection.closed_folders), 'folder')} could not be listed: give "
            "yourself the right to read them, and give the same command again."
        )
    if collection.foreign_links:
        reporter.warn(
            f"{plural(len(collection.foreign_links), 'link')} of other users not followed: give "
            "the folders themselves."
        )


def send_photos(
    client: ApiClient,
    photos: Sequence[LocalPhoto],
    settings: Settings,
    reporter: Reporter,
    earlier: EarlierJob = NO_JOB,
) -> UploadReport:
    """Send the photos that the service does not have.

    Of those that an earlier job holds, the service is not asked.
    """
    size = sum(photo.size for photo in photos)
    with (
        HashCache(default_cache_path()) as hashes,
        reporter.bar("Sending", total=len(photos), size=size) as bar,
    ):
        uploader = Uploader(
            client,
            hashes,
            max_bytes=settings.max_image_bytes,
            find_key=lambda photo, content: earlier.find_key(
                name_in_job(photo.name), content.file_name
            ),
        )
        return uploader.upload(photos, bar.advance)


def say_sent(report: UploadReport, reporter: Reporter) -> None:
    """Print how many photos were sent."""
    reporter.say(
        f"Sent {plural(report.sent, 'photo')} ({decimal(report.sent_bytes)}); "
        f"{report.already:,} already there."
    )


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


def say_known(jobs: Sequence[JobView], reporter: Reporter) -> None:
    """Print of each new job how many of its photos are known, and how many are to be labelled."""
    for job, short in zip(jobs, short_ids(jobs), strict=True):
        counts, total = job["counts"], job["total"] or 0
        left = counts["queued"] + counts["running"]
        reporter.say(
            f"Job {short}: {plural(total, 'photo')}: {total - left:,} known, {left:,} to label."
        )


class TaggingRun:
    """One run of `tag` against a service: photos in, finished jobs out.

    `own` says that the service is the run's own, so that nobody else's jobs are there, and
    `starting` that its worker may still load its network. Without `reuse`, photos whose result is
    known are labelled again.
    """

    def __init__(
        self,
        client: ApiClient,
        reporter: Reporter,
        settings: Settings,
        collection: FoundPhotos,
        *,
        own: bool,
        starting: bool = False,
        reuse: bool = True,
        wish: JobWish = NO_WISH,
    ) -> None:
        self.report = UploadReport()
        self.jobs: list[JobView] = []
        self.labelled_s = 0.0
        self._client = client
        self._reporter = reporter
        self._settings = settings
        self._collection = collection
        self._own = own
        self._starting = own or starting
        self._reuse = reuse
        self._wish = wish
        self._notes = UnfinishedJobs(unfinished_path(settings))
        self._folders = LabelledFolders(settings)
        self._place = "\n".join(str(path.absolute()) for path in collection.given)
        self._early: dict[str, EarlyResults] = {}
        self._plan: list[list[ImageEntry]] = []
        self._output: EarlierOutput | None = None
        self._labelled: list[bool] = []
        """Whether each photo that was sent has a result, once the lines are read."""

    def work(self) -> None:
        """Send and label the photos; cancel the jobs if it is stopped."""
        earlier = self._folders.read(self._place) if self._reuse else NO_JOB
        try:
            try:
                self._send_and_start(earlier)
            except (Conflict, RequestRejected):
                if earlier is NO_JOB or self.jobs:
                    raise
                # That job was deleted, or another network labels by now.
                self._send_and_start(NO_JOB)
            for index, job in enumerate(self.jobs):
                self.jobs[index] = wait_for_job(
                    self._client,
                    job["id"],
                    self._reporter,
                    worker_starts=self._starting,
                    check=self._check_disk,
                )
                self._notes.remove(job["id"])
            if not any(job["reused"] for job in self.jobs):
                self.labelled_s = labelling_time_s(self.jobs)
        except KeyboardInterrupt:
            self._stop()
            raise

    def lines(self) -> Iterator[Line]:
        """Yield one line per photo, in order, once the jobs have ended."""
        results = chain.from_iterable(
            self._early[job["id"]].lines()
            if job["id"] in self._early
            else stream_lines(self._client, [job["id"]])
            for job in self.jobs
        )
        return merge_lines(self._noted(results), self._collection.photos, self.report)

    def _noted(self, lines: Iterator[Line]) -> Iterator[Line]:
        for line in lines:
            self._labelled.append(line["state"] in ("tagged", "no_face"))
            yield line

    def _send_and_start(self, earlier: EarlierJob) -> None:
        """Send the photos and start the jobs; an earlier job's photos are not sent again."""
        photos = self._collection.photos
        report = send_photos(self._client, photos, self._settings, self._reporter, earlier)
        # It may be a second time, at which nothing new is sent as a rule.
        if report.sent or not self.report.outcomes:
            say_sent(report, self._reporter)
        self.report = report
        self._check_sent()
        self._plan = plan_jobs(
            photos, self.report.outcomes, max_images=self._settings.max_job_images
        )
        self._start(earlier)

    def _check_sent(self) -> None:
        """Raise DiskFull if our own object storage refused photos for want of space."""
        refused = any(
            isinstance(outcome, NotSent) and outcome.code == ErrorCode.UPLOAD_FAILED
            for outcome in self.report.outcomes
        )
        if refused:
            size = sum(photo.size for photo in self._collection.photos)
            self._require_space(SPACE_TO_GO_ON + size)

    def _check_disk(self) -> None:
        """Raise DiskFull before our own database can write nothing more and workers only wait."""
        self._require_space(SPACE_TO_WORK)

    def _require_space(self, needed: int) -> None:
        if self._own:
            require_space(
                self._settings.data_dir,
                needed,
                use="labelling",
                remedy="give another folder with --data-dir",
            )

    def _start(self, earlier: EarlierJob) -> None:
        planned = [
            PlannedJob(
                images_digest(part, self._settings, reuse=self._reuse, wish=self._wish),
                part,
                *earlier.divide(part),
            )
            for part in self._plan
        ]
        leftovers = LeftoverJobs(self._client, self._reporter, self._notes, self._ask_for_job)
        open_jobs = leftovers.take(planned, place=None if self._own else self._place)
        for one in planned:
            facts = UnfinishedJob(one.digest, self._place, this_process())
            if one.digest in open_jobs:
                name, job = open_jobs.pop(one.digest)
                self._reporter.say(
                    f"Continuing job {job['id']} of an earlier run: {finished_count(job)} of "
                    f"{job['total']} photos are done."
                )
            else:
                name = new_request()
                self._notes.add(name, facts)
                job = self._ask_for_job(one, name)
                self._read_early(job, one, earlier)
            # First of all, so that Ctrl-C finds the job to cancel.
            self.jobs.append(job)
            self._notes.add(job["id"], facts, instead_of=name)
        say_known(self.jobs, self._reporter)

    def _ask_for_job(self, planned: PlannedJob, request: str) -> JobView:
        """Return the job of a request that is noted; it is forgotten if the service refuses it."""
        try:
            return start_job(
                self._client,
                planned.others,
                name=self._collection.title,
                reuse=self._reuse,
                wish=self._wish,
                known=planned.known,
                request=request,
            )
        except (Conflict, RequestRejected):
            self._notes.remove(request)
            raise

    def _read_early(self, job: JobView, planned: PlannedJob, earlier: EarlierJob) -> None:
        known = planned.known
        if is_worth_reading(job, found=known is not None):
            find = None
            if known is not None and earlier.output is not None:
                find = partial(earlier.output.read, planned.images, known)
            self._early[job["id"]] = EarlyResults(self._client, job, find)

    def note_output(self, path: Path, status: os.stat_result) -> None:
        """Note the file that all lines were written to, as JSON, and its status then."""
        self._output = EarlierOutput.of(path, status)

    def finish(self, *, keep: bool) -> None:
        """Delete the service's data of this run, or print how to see it again."""
        if not keep:
            for job in self.jobs:
                self._client.delete_job(job["id"])
            if self.jobs:
                self._reporter.say("Deleted the service's copies of the photos and the results.")
            return
        if self.report.failed:
            # The service knows nothing of them.
            self._reporter.say(
                f"{plural(self.report.failed, 'photo')} could not be read or sent: the lines of "
                "such photos are in this output alone."
            )
        if len(self.jobs) == 1:
            self._folders.write(self._place, self._as_earlier(self.jobs[0]))
        for short in short_ids(self.jobs):
            self._reporter.say(
                f"To see this again: `{self._command('results', short)}`, "
                f"`{self._command('report', short)}`."
            )
        self._reporter.say(
            f"Copies of the photos and the results are kept {self._kept()}, so that another run "
            "sends and labels only what is new; --no-keep deletes them."
        )

    def _as_earlier(self, job: JobView) -> EarlierJob:
        """Return what the next run on these photos needs to know of this one."""
        written = None
        with suppress(FacetagError):
            # The next job has no reviews, so it needs the network's lines from the service.
            if self._output is not None and not any(self._client.list_reviewed(job["id"])):
                written = self._output
        return EarlierJob.of(job["id"], self._plan[0], self._labelled, written)

    def _kept(self) -> str:
        if self._settings.api_url:
            return "by the service for as long as it is set to"
        days = self._settings.retention_days
        time = f"for {plural(days, 'day')}" if days else "until you delete them"
        return f"in {self._settings.data_dir} {time}"

    def say_kept(self) -> None:
        """Print how to fetch the labels, after a fault that came later."""
        for short in short_ids(self.jobs):
            self._reporter.warn(f"The labels are kept: `{self._command('results', short)}`.")

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
            self._reporter.warn(
                f"Cancelled job {job['id']}; {finished_count(ended) - ended['counts']['cancelled']}"
                f" of {ended['total']} photos were labelled. "
                f"`{self._command('resume', job['id'])}` goes on with it."
            )
        # A service that a command started is gone some minutes later; its data stays.
        there = self._settings.api_url
        where = f"at {there}" if there else f"in {self._settings.data_dir}"
        self._reporter.warn(
            f"Stopped. What was sent and labelled is kept {where}: the same command goes on from "
            "there."
        )

    def _command(self, name: str, job: str) -> str:
        """Return a command on a job of this run's service."""
        folder = self._settings.data_dir
        default = type(self._settings).model_fields["data_dir"].default.expanduser()
        given = (
            ""
            if self._settings.api_url or folder == default
            else f" --data-dir {quote(str(folder))}"
        )
        return f"facetag {name} {job}{given}"
