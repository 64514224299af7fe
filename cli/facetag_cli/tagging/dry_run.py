"""Say what a run would send, reuse and label, without doing it (`--dry-run`)."""

from facetag.client.api_client import (
    NO_WISH,
    UPLOAD_BATCH,
    ApiClient,
    ImageEntry,
    JobPlan,
    JobWish,
)
from facetag.client.service_lookup import find_service
from facetag.inputs.photo_files import FoundPhotos
from facetag.settings import Settings
from facetag_cli.client.kept_jobs import holds_jobs
from facetag_cli.client.service_choice import say_lingering, use_service
from facetag_cli.client.tagging_jobs import split_images
from facetag_cli.reporter import Reporter, plural
from facetag_cli.upload.hash_cache import HashCache, default_cache_path
from facetag_cli.upload.uploader import Content, key_suffix


def say_plan(
    found: FoundPhotos,
    settings: Settings,
    reporter: Reporter,
    *,
    reuse: bool = True,
    wish: JobWish = NO_WISH,
) -> None:
    """Print how many photos would be sent, reused and labelled, and how many would fail before.

    Where nothing is kept, no service is started to say so.
    """
    refused = [photo for photo in found.photos if photo.refusal(settings.max_image_bytes)]
    readable = [photo for photo in found.photos if not photo.refusal(settings.max_image_bytes)]
    with HashCache(default_cache_path()) as hashes:
        digests = hashes.hash_photos(readable)
    contents = [
        Content(digest, photo.size, key_suffix(photo))
        for photo, digest in zip(readable, digests, strict=True)
        if isinstance(digest, str)
    ]
    failing = len(found.photos) - len(contents)
    reporter.say(f"This was a dry run of {plural(len(found.photos), 'photo')}: nothing was sent.")
    if failing:
        example = f", such as {refused[0].name}" if refused else ""
        reporter.say(f"  {failing:,} would fail before that{example}.")
    distinct = list(dict.fromkeys(contents))
    if find_service(settings) is None and not holds_jobs(settings):
        reporter.say(f"  {len(distinct):,} would be sent; no results are kept so far.")
        reporter.say(f"  0 known, {len(contents):,} to label.")
        return
    with use_service(settings, reporter) as service, ApiClient(service) as client:
        keys, there = _find_keys(client, distinct)
        reporter.say(f"  {len(distinct) - there:,} would be sent; {there:,} are there already.")
        images: list[ImageEntry] = [{"key": keys[content], "name": ""} for content in contents]
        plans = [
            client.plan_job(images=part, reuse=reuse, wish=wish)
            for part in split_images(images, max_images=settings.max_job_images)
        ]
        _say_known(plans, reporter)
        say_lingering(service, settings, reporter)


def say_prefix_plan(
    prefix: str, client: ApiClient, reporter: Reporter, *, reuse: bool, wish: JobWish
) -> JobPlan:
    """Print how many photos below a prefix would be reused and labelled; return the counts."""
    plan = client.plan_job(prefix=prefix, reuse=reuse, wish=wish)
    reporter.say(
        f"This was a dry run of {plural(plan['images'], 'photo')} below {prefix}: nothing was "
        "labelled."
    )
    _say_known([plan], reporter)
    return plan


def _find_keys(client: ApiClient, contents: list[Content]) -> tuple[dict[Content, str], int]:
    """Return the key of each content, and how many are in object storage already."""
    keys: dict[Content, str] = {}
    there = 0
    for start in range(0, len(contents), UPLOAD_BATCH):
        batch = contents[start : start + UPLOAD_BATCH]
        targets = client.request_uploads([content.as_wanted() for content in batch])
        for content, target in zip(batch, targets, strict=True):
            keys[content] = target["key"]
            there += target["exists"]
    return keys, there


def _say_known(plans: list[JobPlan], reporter: Reporter) -> None:
    known = sum(plan["known"] for plan in plans)
    total = sum(plan["images"] for plan in plans)
    reporter.say(f"  {known:,} known, {total - known:,} to label.")
