"""Start jobs on uploaded photos, and merge their results with the photos that were not sent."""

import uuid
from collections.abc import Iterator, Sequence
from json.encoder import encode_basestring_ascii

from facetag.client.api_client import (
    NO_WISH,
    ApiClient,
    ImageEntry,
    JobView,
    JobWish,
    KnownEntries,
    Line,
)
from facetag.errors import FacetagError
from facetag.inputs.photo_files import LocalPhoto
from facetag.results.image_lines import image_line
from facetag.results.name_escapes import MAX_NAME, escape_name
from facetag_cli.upload.uploader import NotSent, UploadReport

MAX_JOB_NAME = 200
JOB_BYTES = 28 * 2**20
"""The most bytes of JSON for the images of a request; the API allows 320 bytes per image."""
IMAGE_OVERHEAD = 32


def plan_jobs(
    photos: Sequence[LocalPhoto], outcomes: Sequence[str | NotSent], *, max_images: int
) -> list[list[ImageEntry]]:
    """Return the images of the photos that were sent, divided into one or more jobs."""
    images: list[ImageEntry] = [
        {"key": outcome, "name": name_in_job(photo.name)}
        for photo, outcome in zip(photos, outcomes, strict=True)
        if isinstance(outcome, str)
    ]
    return list(split_images(images, max_images=max_images))


def name_in_job(name: str) -> str:
    """Return the name that a photo of this name has in its job."""
    return escape_name(name)[-MAX_NAME:]


def start_job(
    client: ApiClient,
    images: Sequence[ImageEntry],
    *,
    name: str,
    reuse: bool = True,
    wish: JobWish = NO_WISH,
    known: KnownEntries | None = None,
    request: str = "",
) -> JobView:
    """Start a job; a name that is too long for the API is cut.

    The same `request` gets the job that it started before, if there is one.
    """
    shown = name.encode("utf-8", "replace").decode().replace("\0", "")[:MAX_JOB_NAME]
    return client.create_job(
        images,
        name=shown,
        idempotency_key=request or str(uuid.uuid4()),
        reuse=reuse,
        wish=wish,
        known=known,
    )


def split_images(
    images: Sequence[ImageEntry], *, max_images: int, max_bytes: int = JOB_BYTES
) -> Iterator[list[ImageEntry]]:
    """Yield parts of the images, each within the limits of one request."""
    part: list[ImageEntry] = []
    size = 0
    for image in images:
        cost = len(image["key"]) + len(encode_basestring_ascii(image["name"])) + IMAGE_OVERHEAD
        if part and (len(part) >= max_images or size + cost > max_bytes):
            yield part
            part, size = [], 0
        part.append(image)
        size += cost
    if part:
        yield part


def merge_lines(
    lines: Iterator[Line], photos: Sequence[LocalPhoto], report: UploadReport
) -> Iterator[Line]:
    """Yield one line per photo in order: the service's, or the reason why it was not sent.

    They name photos as the disk does, not as jobs do. Raises FacetagError if the service's lines
    are not those of the photos that were sent.
    """
    own_names: dict[str, str] = {}
    for photo, outcome in zip(photos, report.outcomes, strict=True):
        if isinstance(outcome, NotSent):
            yield unsent_line(photo, outcome)
            continue
        line = next(lines, None)
        if line is None:
            raise FacetagError(
                "The service gave fewer results than the job has photos. Run the command again."
            )
        held = name_in_job(photo.name)
        if line.get("image") != held:
            raise FacetagError(
                "The service's results are not those of the photos that were sent: a photo was "
                "probably purged meanwhile. Run the command again."
            )
        if held != photo.name:
            own_names.setdefault(held, photo.name)
        names = {"image": photo.name}
        if first := line.get("duplicate_of"):
            names["duplicate_of"] = own_names.get(first) or first
        yield line | names


def unsent_line(photo: LocalPhoto, reason: NotSent) -> Line:
    """Return the line of a photo that never reached the service."""
    return image_line(
        name=photo.name,
        state="failed",
        error=(reason.code.value, reason.message),
        model=None,
        width=None,
        height=None,
        faces=[],
    )
