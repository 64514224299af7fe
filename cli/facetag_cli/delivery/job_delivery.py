"""Deliver a job's results later: all that `facetag tag` makes, from what the service keeps."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from facetag.client.api_client import ApiClient, JobView, Line
from facetag.client.result_stream import stream_lines
from facetag.inputs.photo_files import photo_below
from facetag.results.csv_rows import ALL_HEADS
from facetag.results.line_names import with_own_names
from facetag.results.name_escapes import escape_name
from facetag.settings import Settings
from facetag_cli.composition.share_estimation import ShareEstimation
from facetag_cli.delivery.job_photos import JobPhotos
from facetag_cli.delivery.line_delivery import deliver, say_summary
from facetag_cli.output.job_table import describe_job
from facetag_cli.reporter import Reporter


def deliver_job(
    client: ApiClient,
    job: JobView,
    reporter: Reporter,
    settings: Settings,
    *,
    format_: str = "table",
    output: Path | None = None,
    report: Path | None = None,
    min_certainty: float | None = None,
    photos: Path | None = None,
    raw: bool = False,
) -> None:
    """Write a job's lines, or its report alone in the format html, and print a summary.

    With `report`, a report is written beside the lines. Its photos are taken from the folder
    `photos` if that is given.
    """
    if job["finished_at"] is None:
        reporter.say(f"{describe_job(job)}\nThe job is not finished. These are the results so far.")
    with ExitStack() as stack:
        found = stack.enter_context(JobPhotos(client, job["id"]))

        def find_photo(name: str) -> Path | None:
            if photos is None:
                return found.find(escape_name(name))
            return photo_below(photos, name)

        results: Iterator[Line] = stream_lines(client, [job["id"]])
        drawn = format_ == "html" or report is not None
        watched = found.watch(results) if drawn and photos is None else results
        composition = deliver(
            map(with_own_names, watched),
            format_=format_,
            output=output,
            report=report,
            min_certainty=min_certainty,
            estimation=ShareEstimation(settings),
            title=job["name"] or f"Job {job['id']}",
            find_photo=find_photo,
            photos=job["total"] or 1,
            heads=job.get("heads", ALL_HEADS),
            raw=raw,
        )
    say_summary(composition, reporter)
