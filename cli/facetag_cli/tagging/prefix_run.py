"""Tag photos where they lie in object storage (`facetag tag s3://BUCKET/PREFIX`)."""

import uuid
from pathlib import Path
from urllib.parse import urlsplit

from facetag.client.api_client import NO_WISH, ApiClient, JobView, JobWish
from facetag.errors import FacetagError, InputInvalid, SettingsInvalid
from facetag.settings import Settings
from facetag_cli.client.job_progress import wait_for_job
from facetag_cli.client.service_choice import find_fixed_service, say_lingering, use_service
from facetag_cli.client.tagging_jobs import MAX_JOB_NAME
from facetag_cli.delivery.job_delivery import deliver_job
from facetag_cli.params.interrupts import stop_on_sigterm
from facetag_cli.reporter import Reporter, plural
from facetag_cli.tagging.dry_run import say_prefix_plan


def tag_prefix(
    prefix: str,
    settings: Settings,
    reporter: Reporter,
    *,
    format_: str,
    output: Path | None,
    report: Path | None,
    min_certainty: float | None,
    keep: bool,
    reuse: bool,
    dry_run: bool,
    raw: bool = False,
    wish: JobWish = NO_WISH,
) -> bool:
    """Label the photos below a prefix, write their results, and return whether any photo failed.

    With `dry_run`, only what would be labelled is printed. Without `keep`, the results are deleted
    at the end. Raises SettingsInvalid if this command would start a service that may not read the
    bucket, and InputInvalid if nothing lies below the prefix.
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
        use_service(settings, reporter, stays=keep) as service,
        ApiClient(service) as client,
    ):
        if dry_run:
            found = say_prefix_plan(prefix, client, reporter, reuse=reuse, wish=wish)
            _require_photos(prefix, found["images"])
            say_lingering(service, settings, reporter)
            return False
        starting = service.own or service.lingers
        job = _label(prefix, client, reporter, reuse=reuse, starting=starting, wish=wish)
        deliver_job(
            client,
            job,
            reporter,
            settings,
            format_=format_,
            output=output,
            report=report,
            min_certainty=min_certainty,
            raw=raw,
        )
        if keep:
            say_lingering(service, settings, reporter)
        else:
            client.delete_job(job["id"])
            reporter.say("Deleted the service's results.")
    return job["state"] != "completed"


def _label(
    prefix: str,
    client: ApiClient,
    reporter: Reporter,
    *,
    reuse: bool,
    starting: bool,
    wish: JobWish,
) -> JobView:
    """Return the finished job on the photos below a prefix; raises FacetagError if it has none."""
    job = client.start_prefix_job(
        prefix,
        name=prefix[:MAX_JOB_NAME],
        idempotency_key=str(uuid.uuid4()),
        reuse=reuse,
        wish=wish,
    )
    reporter.say(f"Job {job['id']} labels the photos below {prefix}.")
    try:
        job = wait_for_job(client, job["id"], reporter, worker_starts=starting)
    except KeyboardInterrupt:
        client.cancel_job(job["id"])
        reporter.warn(f"Cancelled job {job['id']}: `facetag resume {job['id']}` goes on.")
        raise
    if job["error"] is not None:
        raise FacetagError(f"{prefix} could not be listed: {job['error']}")
    _require_photos(prefix, job["total"] or 0)
    reporter.say(
        f"{plural(job['total'] or 0, 'photo')}: {job['reused']:,} known, "
        f"{(job['total'] or 0) - job['reused']:,} labelled."
    )
    return job


def _require_photos(prefix: str, found: int) -> None:
    if not found:
        raise InputInvalid(f"No photos lie below {prefix}: check the bucket and the prefix.")
