"""Delete jobs or photos from a service for good (`facetag purge`)."""

import hashlib
import re
from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@click.command()
@click.option("--job", "jobs", multiple=True, metavar="JOB", help="Id of an ended job.")
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

    Results go at once. Object storage deletes the photos as soon as it answers, and its files lose
    the bytes within half an hour, or when `facetag up` stops. `facetag audit-log` says when.

    \b
    Examples:
      facetag purge --job 0d5c1c9e-6b0a-4f3e-9a55-2f1f6f0c7b11
      facetag purge --photo portrait.jpg
    """
    from facetag.client.api_client import ApiClient
    from facetag_cli.client.service_choice import read_settings, require_service

    if not jobs and not photos:
        raise click.UsageError("Give --job or --photo.")
    digests = [_digest(photo) for photo in photos]
    with ApiClient(require_service(read_settings(data_dir))) as client:
        if not yes:
            click.confirm(
                f"Delete {len(jobs)} jobs and {len(digests)} photos for good?", abort=True
            )
        for job in jobs:
            client.delete_job(job)
            click.echo(f"The job {job} is deleted.")
        if digests:
            number = client.purge_photos(digests)
            click.echo(f"Deleted {number} images of these photos.")


def _digest(photo: str) -> str:
    if _SHA256.fullmatch(photo):
        return photo
    try:
        return hashlib.sha256(Path(photo).read_bytes()).hexdigest()
    except OSError as error:
        raise click.BadParameter(
            f"{photo} is neither a file that can be read nor a SHA-256.", param_hint="--photo"
        ) from error
