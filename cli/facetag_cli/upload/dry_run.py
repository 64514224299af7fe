"""Say what a run would send, without sending it (`--dry-run`)."""

from facetag.client.api_client import UPLOAD_BATCH, ApiClient
from facetag.client.service_lookup import find_service
from facetag.inputs.photo_files import FoundPhotos
from facetag.settings import Settings
from facetag_cli.output.delivery import plural
from facetag_cli.output.reporter import Reporter
from facetag_cli.upload.hash_cache import HashCache, default_cache_path
from facetag_cli.upload.uploader import Content, key_suffix


def say_plan(found: FoundPhotos, settings: Settings, reporter: Reporter) -> None:
    """Print how many photos would be sent, fail before that, and are there already."""
    refused = [photo for photo in found.photos if photo.refusal(settings.max_image_bytes)]
    readable = [photo for photo in found.photos if not photo.refusal(settings.max_image_bytes)]
    service = find_service(settings)
    reporter.say(f"This was a dry run of {plural(len(found.photos), 'photo')}: nothing was sent.")
    if refused:
        reporter.say(f"  {len(refused):,} would fail, such as {refused[0].name}.")
    with HashCache(default_cache_path()) as hashes:
        digests = hashes.hash_photos(readable)
    contents = {
        Content(digest, photo.size, key_suffix(photo))
        for photo, digest in zip(readable, digests, strict=True)
        if isinstance(digest, str)
    }
    reporter.say(f"  {len(contents):,} differ in their bytes, and are labelled once each.")
    if service is None:
        reporter.say("  No service runs, so what it keeps is not known.")
        return
    wanted = [content.as_wanted() for content in contents]
    with ApiClient(service) as client:
        parts = range(0, len(wanted), UPLOAD_BATCH)
        targets = [
            target
            for start in parts
            for target in client.request_uploads(wanted[start : start + UPLOAD_BATCH])
        ]
    there = sum(target["exists"] for target in targets)
    reporter.say(f"  {len(contents) - there:,} would be sent; {there:,} are there already.")
