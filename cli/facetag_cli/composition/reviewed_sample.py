"""Sets the shares of a reviewed random sample beside those that are estimated."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from facetag.client.result_stream import stream_lines
from facetag.errors import FacetagError
from facetag.quantification.collection import gather
from facetag.quantification.composition_estimate import estimate_composition
from facetag.settings import Settings
from facetag_cli.client.job_reference import find_job
from facetag_cli.client.kept_jobs import open_jobs
from facetag_cli.composition.bundle_lookup import find_held_out
from facetag_cli.composition.share_tables import share_table
from facetag_cli.reporter import Reporter, plural


def compare_shares(settings: Settings, reference: str, size: int) -> Iterator[str | Table]:
    """Yield a sentence on the sample of a job, and a table for each attribute.

    Raises FacetagError where no photo of the sample was reviewed, or nothing can be estimated.
    """
    with open_jobs(settings, Reporter(quiet=True)) as jobs:
        job = find_job(jobs.client, reference)
        sample = jobs.client.review_summary(job["id"], sample=size)["sample"]
        yield describe_sample(sample)
        collection = gather(stream_lines(jobs.client, [job["id"]]))
    estimate = estimate_composition(collection, find_held_out(collection.version, settings))
    for shares in estimate.shares:
        sampled = sample["shares"].get(shares.grouping.name)
        if sampled:
            doubtful = estimate.doubts(shares.grouping)
            yield share_table(shares, collection.faces, doubtful=doubtful, sampled=sampled)


def describe_sample(sample: Mapping[str, Any]) -> str:
    """Return how far a sample was reviewed; raise FacetagError where none of it was."""
    photos, reviewed = sample["photos"], sample["reviewed"]
    if not reviewed:
        raise FacetagError(
            f"Nobody has reviewed any of the random sample of {plural(photos, 'photo')}: do so on "
            "the page, in the order `a random sample of photos`."
        )
    rest = "" if reviewed == photos else " The shares describe the job once all of them are."
    return f"Reviewed: {reviewed:,} of the random sample of {plural(photos, 'photo')}.{rest}"
