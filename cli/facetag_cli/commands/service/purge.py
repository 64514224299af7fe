"""Delete jobs or photos from a service for good (`facetag purge`)."""

import hashlib
import re
import shutil
from contextlib import suppress
from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@click.command()
@click.option(
    "--job",
    "jobs",
    multiple=True,
    metavar="JOB",
    help="Ended job: its id, its first digits, or `latest`. May be repeated.",
)
@click.option(
    "--photo",
    "photos",
    multiple=True,
    metavar="FILE|SHA256",
    help="Photo to delete from all jobs: its file, or the SHA-256 of its bytes.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
def purge(jobs: tuple[str, ...], photos: tuple[str, ...], yes: bool, data_dir: Path | None) -> None:
    """Delete jobs or photos from a service for good.

    Results are deleted at once, and photos as soon as object storage answers. On the disks of
    `facetag up` their bytes remain for a while: those of results for up to two hours, those of
    photos for an hour or until `facetag up` stops. `facetag audit-log` shows when the last photo
    was deleted. This machine also forgets the hashes of all files that it sent, and the faces that
    `facetag retrain --reviews` took.

    \b
    Examples:
      facetag purge --job 0d5c1c9e
      facetag purge --photo portrait.jpg
    """
    from facetag.client.api_client import ApiClient
    from facetag_cli.client.job_reference import find_job
    from facetag_cli.client.service_choice import read_settings, require_service
    from facetag_cli.exports.reviews_folder import reviews_folder
    from facetag_cli.upload.hash_cache import default_cache_path

    if not jobs and not photos:
        raise click.UsageError("Give --job or --photo.")
    digests = [_digest(photo) for photo in photos]
    with ApiClient(require_service(read_settings(data_dir))) as client:
        found = [find_job(client, job) for job in jobs]
        if not yes:
            named = [f"the job {job['id']} ({job['name']})" for job in found]
            named += [f"the photo {photo}" for photo in photos]
            click.confirm(f"Delete {', '.join(named)} for good?", abort=True)
        for job in found:
            client.delete_job(job["id"])
            click.echo(f"The job {job['id']} is deleted.")
        if digests:
            number = client.purge_photos(digests)
            click.echo(f"Images of these photos that were deleted: {number}.")
    # It only saves time, and nothing else says which of its hashes were purged.
    with suppress(OSError):
        default_cache_path().unlink(missing_ok=True)
    shutil.rmtree(reviews_folder(), ignore_errors=True)


def _digest(photo: str) -> str:
    if _SHA256.fullmatch(photo):
        return photo
    try:
        return hashlib.sha256(Path(photo).read_bytes()).hexdigest()
    except OSError as error:
        raise click.BadParameter(
            f"{photo} is neither a file that can be read nor a SHA-256.", param_hint="--photo"
        ) from error
