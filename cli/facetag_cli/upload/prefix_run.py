"""Tag photos where they lie in object storage (`facetag tag s3://BUCKET/PREFIX`)."""

import uuid
from pathlib import Path
from urllib.parse import urlsplit

from facetag.client.api_client import ApiClient, JobView
from facetag.errors import FacetagError, InputInvalid, SettingsInvalid
from facetag.settings import Settings
from facetag_cli.client.job_progress import wait_for_job
from facetag_cli.client.service_choice import find_fixed_service, use_service
from facetag_cli.client.tagging_jobs import MAX_JOB_NAME
from facetag_cli.output.job_results import deliver_job
from facetag_cli.output.reporter import Reporter
from facetag_cli.params.interrupts import stop_on_sigterm


def tag_prefix(
    prefix: str,
    settings: Settings,
    reporter: Reporter,
    *,
    format_: str,
    output: Path | None,
    report: Path | None,
    min_certainty: float | None,
) -> JobView:
    """Label the photos below a prefix, write their results, and return the finished job.

    Raises SettingsInvalid if this command would start a service that may not read the bucket, and
    InputInvalid if nothing lies below the prefix.
    """
    bucket = urlsplit(prefix).netloc
    if find_fixed_service(settings) is None and bucket not in settings.source_buckets:
        raise SettingsInvalid(
            f"The bucket {bucket!r} may not be read. Set FACETAG_SOURCE_BUCKETS={bucket}, and for "
            "storage other than Amazon S3 FACETAG_S3_ENDPOINT_URL; FACETAG_S3_ACCESS_KEY and "
            "FACETAG_S3_SECRET_KEY name who reads."
        )
    with (
        stop_on_sigterm(),
        use_service(settings, reporter) as service,
        ApiClient(service) as client,
    ):
        job = client.start_prefix_job(
            prefix, name=prefix[:MAX_JOB_NAME], idempotency_key=str(uuid.uuid4())
        )
        reporter.say(f"Job {job['id']} labels the photos below {prefix}.")
        try:
            job = wait_for_job(client, job["id"], reporter, worker_starts=service.own)
        except KeyboardInterrupt:
            client.cancel_job(job["id"])
            reporter.warn(f"Cancelled job {job['id']}: `facetag resume {job['id']}` goes on.")
            raise
        if job["error"] is not None:
            raise FacetagError(f"{prefix} could not be listed: {job['error']}")
        if not job["total"]:
            raise InputInvalid(f"No photos lie below {prefix}: check the bucket and the prefix.")
        deliver_job(
            client,
            job,
            reporter,
            settings,
            format_=format_,
            output=output,
            report=report,
            min_certainty=min_certainty,
        )
    return job
