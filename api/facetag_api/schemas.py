"""Define the JSON of requests and answers, with examples, for clients to rely on."""

import uuid
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.dataclasses import dataclass

from facetag.access.keys import Scope
from facetag.db.tables import ImageState, JobState
from facetag.image_formats import CONTENT_TYPE, may_hold_script
from facetag.results.name_escapes import MAX_NAME

MAX_UPLOADS = 1000
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_KEY = f"tenants/local/images/9f/{_SHA256}.jpg"
_JOB_ID = "0d5c1c9e-6b0a-4f3e-9a55-2f1f6f0c7b11"


def _without_zero(text: str) -> str:
    if "\0" in text:
        raise ValueError("remove the character U+0000")
    return text


def _without_script(content_type: str) -> str:
    if may_hold_script(content_type):
        raise ValueError("SVG and XML may hold a script: send the image as another format")
    return content_type


Text = Annotated[str, AfterValidator(_without_zero)]
"""Text that PostgreSQL can hold."""


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [values]})


class Strict(BaseModel):
    """A request, in which unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


# Uploads


class FileToUpload(Strict):
    """A file that the client wants to upload."""

    sha256: Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9a-fA-F]{64}$")] = Field(
        description="SHA-256 of the bytes, in hex"
    )
    size: int = Field(ge=0, description="Bytes; at most FACETAG_MAX_IMAGE_BYTES")
    suffix: Annotated[
        str, StringConstraints(to_lower=True, pattern=r"^(\.[0-9A-Za-z]{1,10})?$")
    ] = Field("", description="File name suffix with its dot; may be empty")
    content_type: Annotated[
        str,
        StringConstraints(pattern=CONTENT_TYPE),
        AfterValidator(_without_script),
    ] = "application/octet-stream"


class UploadRequest(Strict):
    """A request to upload up to 1,000 files."""

    model_config = _example(
        files=[{"sha256": _SHA256, "size": 48213, "suffix": ".jpg", "content_type": "image/jpeg"}]
    ) | ConfigDict(extra="forbid")

    files: list[FileToUpload] = Field(min_length=1, max_length=MAX_UPLOADS)


class UploadForm(BaseModel):
    """A multipart form to POST to `url`: `fields`, then the bytes in a last field `file`."""

    url: str
    fields: dict[str, str]


class Upload(BaseModel):
    """The key of one file; `post` is null if object storage has the file already."""

    key: str
    exists: bool
    post: UploadForm | None


class UploadList(BaseModel):
    """One upload per file, in the order of the request."""

    model_config = _example(
        uploads=[
            {
                "key": _KEY,
                "exists": False,
                "post": {
                    "url": "http://127.0.0.1:8333/facetag",
                    "fields": {
                        "key": _KEY,
                        "Content-Type": "image/jpeg",
                        "policy": "eyJleHBpcmF0aW9uIjogIjIwMjYt...",
                        "x-amz-signature": "3f4f0c...",
                    },
                },
            }
        ]
    )

    uploads: list[Upload]


# Jobs

Store = Literal["results", "photos", "aggregate"]


@dataclass(slots=True, config=ConfigDict(extra="forbid"))
class JobImage:
    """One image of a new job. A slotted dataclass saves memory: a job may have 100,000 images."""

    key: Annotated[str, Field(min_length=1, max_length=1100)]
    """A key that POST /v1/uploads gave, or `s3://bucket/key` in an allowed bucket."""
    name: Annotated[Text, Field(max_length=MAX_NAME)] = ""
    """Name of the image in the results; if empty, the key. Names need not be unique."""


@dataclass(slots=True, config=ConfigDict(extra="forbid"))
class ImageRun:
    """Images that follow one another in an earlier job and in the new one."""

    place: Annotated[int, Field(ge=0, lt=2**30)]
    """Position of the first one in the new job."""
    first: Annotated[int, Field(ge=0, lt=2**30)]
    """Position of the first one in the earlier job."""
    number: Annotated[int, Field(gt=0, lt=2**30)]


class KnownImages(Strict):
    """Images of an earlier job that all have a result, which the new job takes over."""

    job: uuid.UUID
    runs: list[ImageRun] = Field(min_length=1, description="By ascending `place`")

    @model_validator(mode="after")
    def _apart(self) -> "KnownImages":
        if any(one.place + one.number > next_.place for one, next_ in pairwise(self.runs)):
            raise ValueError("give runs by ascending `place`, none within another")
        return self

    @property
    def end(self) -> int:
        """The position in the new job after the last run."""
        return self.runs[-1].place + self.runs[-1].number


class WantedJob(Strict):
    """What a job is to label: either a list of images, or a prefix to list."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"images": [{"key": _KEY, "name": "holiday/a.jpg"}], "name": "holiday"},
                {"prefix": "s3://museum-photos/1920s/", "name": "the twenties"},
            ]
        },
    )

    images: list[JobImage] | None = Field(
        None, min_length=1, description="Up to FACETAG_MAX_JOB_IMAGES, 100,000 by default"
    )
    prefix: Annotated[Text, Field(max_length=1100)] | None = Field(
        None, description="s3://bucket/prefix in an allowed bucket"
    )
    name: Annotated[Text, Field(max_length=200)] | None = None
    reuse: bool = Field(
        True,
        description="Whether images that the same network labelled before, with the same settings, "
        "are finished at once with that result. false labels all of them again",
    )

    heads: list[Literal["age", "gender", "race"]] | None = Field(
        None,
        max_length=3,
        description="Attributes to label, among those of the service (FACETAG_HEADS); by default "
        "all of them. With an empty list faces are only found",
    )
    store: Store = Field(
        "results",
        description="`photos` keeps the sent photos as long as the results, for retagging and "
        "review; `results` deletes those that were labelled, an hour after the job has ended; "
        "`aggregate` keeps only how many faces there are of each group: no face, and, once the job "
        "has ended, no photo",
    )
    purpose: Annotated[Text, Field(min_length=1, max_length=200)] | None = Field(
        None, description="What the labels are for; a service may demand one of FACETAG_PURPOSES"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.images is None) == (self.prefix is None):
            raise ValueError("give either `images` or `prefix`")
        return self


class JobRequest(WantedJob):
    """A new job."""

    known: KnownImages | None = Field(
        None,
        description="Images of an earlier job that are in this one too, with their results; "
        "`images`, which may be left out then, fill the places between the runs. If that job "
        "cannot give them all, because it was deleted or another network labels now, the answer is "
        "409: send all `images`",
    )

    @property
    def total(self) -> int:
        """The number of images that are named."""
        known = self.known.runs if self.known is not None else ()
        return len(self.images or ()) + sum(run.number for run in known)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.images is None and self.known is None) == (self.prefix is None):
            raise ValueError("give either `images` or `prefix`")
        if self.known is not None and self.known.end > self.total:
            raise ValueError("the runs of `known` leave places that no image fills")
        return self


class PlanRequest(WantedJob):
    """A job that is not made yet, and where the page of its prefix begins."""

    cursor: Annotated[Text, Field(max_length=1100)] | None = Field(
        None, description="`next_cursor` of the previous page of the prefix"
    )


class PlanAnswer(BaseModel):
    """What a job would find."""

    model_config = _example(images=200, known=180, next_cursor=None)

    images: int = Field(description="Images of the job; for a prefix, of this page")
    known: int = Field(description="How many of them have a result already, which would be reused")
    next_cursor: str | None = Field(description="`cursor` of the prefix's next page")


class RetryRequest(Strict):
    """A request to try images again."""

    model_config = _example(only="failed") | ConfigDict(extra="forbid")

    only: Literal["failed"] = "failed"


class PurgeRequest(Strict):
    """Photos to delete from all jobs."""

    model_config = _example(sha256=[_SHA256]) | ConfigDict(extra="forbid")

    sha256: list[Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9a-fA-F]{64}$")]] = (
        Field(min_length=1, max_length=MAX_UPLOADS, description="SHA-256 of the bytes, in hex")
    )


class Erasure(BaseModel):
    """What is being deleted; the audit log says when the last object is gone."""

    model_config = _example(number=200)

    number: int = Field(description="Photos of the deleted job, or photos that were purged")


class CallerAnswer(BaseModel):
    """Whose key, or session of the page, a request carries, and what it allows."""

    model_config = _example(name="ben", tenant="local", scope="review", allows=["read", "review"])

    name: str
    tenant: str
    scope: Scope
    allows: list[Scope] = Field(description="The scopes that `scope` includes")


class AuditEntry(BaseModel):
    """What somebody did."""

    created_at: datetime
    actor: str = Field(description="The key's id and name, or the program that acted by itself")
    action: str
    subject: str = Field(description="A job's id, or what else was acted on")
    number: int = Field(description="How many objects or photos")


class AuditPage(BaseModel):
    """The newest lines of the audit log."""

    lines: list[AuditEntry]


class Counts(BaseModel):
    """Number of images in each state. They add up to the job's total once it is known.

    Reviews change no state: an image whose faces were all rejected stays `tagged`.
    """

    queued: int
    running: int
    tagged: int
    no_face: int
    failed: int
    cancelled: int


class LabelGroup(BaseModel):
    """The number of faces with the same labels; null for what was not labelled."""

    gender: str | None
    race: str | None
    age: str | None = Field(description="A band of years")
    faces: int


class Aggregate(BaseModel):
    """All that is kept of the faces of a job with `store` `aggregate`."""

    faces: int
    possible: int = Field(description="Faces that may be none, which no group counts")
    groups: list[LabelGroup]


class JobAnswer(BaseModel):
    """A job as it is now."""

    model_config = _example(
        id=_JOB_ID,
        state="running",
        name="holiday",
        purpose="composition of the archive",
        heads=["age", "gender"],
        store="results",
        photos_deleted_at=None,
        aggregate=None,
        total=200,
        counts={
            "queued": 120,
            "running": 16,
            "tagged": 50,
            "no_face": 12,
            "failed": 2,
            "cancelled": 0,
        },
        reused=40,
        error=None,
        created_at="2026-03-01T09:30:00Z",
        started_at="2026-03-01T09:30:01Z",
        finished_at=None,
    )

    id: uuid.UUID
    state: JobState
    name: str | None
    purpose: str | None
    heads: list[str] = Field(description="The attributes that are labelled")
    store: Store = Field(description="What is kept once the job has ended")
    photos_deleted_at: datetime | None = Field(
        description="When the labelled photos of a job with `store` `results` were given up"
    )
    aggregate: Aggregate | None = Field(
        description="The counts of a job with `store` `aggregate`; null for others"
    )
    total: int | None = Field(description="Null while a prefix is being listed")
    counts: Counts
    reused: int = Field(
        description="Number of images that were finished with the result of the same bytes"
    )
    error: str | None = Field(description="Why the whole job failed")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPage(BaseModel):
    """A page of jobs, the newest first."""

    jobs: list[JobAnswer]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last")


# Results


class ImageError(BaseModel):
    """Why an image failed."""

    code: str = Field(description="One of the documented codes (docs/api.md)")
    message: str


class Gender(BaseModel):
    """Apparent gender: the likelier of two labels."""

    label: Literal["female", "male"]
    probability: float = Field(description="Probability of this label, 0.5 to 1")


class Race(BaseModel):
    """Apparent race: the likeliest of five labels."""

    label: Literal["white", "black", "asian", "indian", "other"]
    probabilities: dict[str, float]


class Reviewed(BaseModel):
    """What people said of a face."""

    by: list[str]
    verdict: Literal["accepted", "corrected", "cannot_tell", "missed", "disputed"]
    said: dict[str, Any] = Field(description="The network's age and labels")


class FaceAnswer(BaseModel):
    """One face. Attributes that FACETAG_HEADS leaves out are absent."""

    box: tuple[int, int, int, int] = Field(
        description="x, y, width, height in pixels of the upright image"
    )
    confidence: float = Field(description="Probability that it is a face, 0 to 1")
    age: float | None = Field(None, description="Apparent age in years")
    age_range: tuple[int, int] | None = None
    gender: Gender | None = None
    race: Race | None = None
    uncertain: list[str] | None = Field(
        None,
        description="Attributes whose label is less probable than the bundle's threshold; all, if "
        "the face lies as the network was not taught to read. `face` comes first if the "
        "confidence is below 0.9: counts leave such a face out",
    )
    turned: Literal[45, 90, 135, 180, 225, 270, 315] | None = Field(
        None,
        description="About how many degrees clockwise the photo is turned; absent if none",
    )
    reviewed: Reviewed | None = Field(
        None, description="Present if people reviewed the face: its labels are theirs"
    )


_LINE: dict[str, Any] = {
    "image": "holiday/a.jpg",
    "state": "tagged",
    "error": None,
    "model": "2026-03-01-inception",
    "width": 1600,
    "height": 1200,
    "faces": [
        {
            "box": [612, 240, 188, 231],
            "confidence": 0.998,
            "age": 31.4,
            "age_range": [26, 37],
            "gender": {"label": "female", "probability": 0.97},
            "race": {
                "label": "asian",
                "probabilities": {
                    "white": 0.02,
                    "black": 0.01,
                    "asian": 0.93,
                    "indian": 0.01,
                    "other": 0.03,
                },
            },
        }
    ],
}


class ImageLine(BaseModel):
    """The result of one image: a line of the results."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LINE]})

    image: str = Field(description="Name of the image in the job")
    state: ImageState = Field(
        description="`tagged` or `no_face` by what the network found; reviews change `faces` alone"
    )
    error: ImageError | None
    model: str | None = Field(description="Version of the bundle that labelled the image")
    width: int | None
    height: int | None
    faces: list[FaceAnswer]
    incomplete: bool | None = Field(
        None,
        description="true if the image was labelled although its file lacks its last bytes; "
        "absent otherwise",
    )
    duplicate_of: str | None = Field(
        None,
        description="Name of an earlier image of the job with the same bytes or nearly the same "
        "look; absent if there is none, and until the job is finished",
    )


class PlacedLine(ImageLine):
    """A line with the image's position in the job."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LINE | {"position": 0}]})

    position: int


class ImagePage(BaseModel):
    """A page of a job's images, in the job's order."""

    images: list[PlacedLine]
    next_cursor: str | None


class CompositionAnswer(BaseModel):
    """Who is in a job's photos, as the page's charts read it."""

    counts: dict[str, Any]
    columns: list[str] = Field(description="The columns of the results as CSV")


# The service


class VerdictAnswer(BaseModel):
    """The comparison of a retrained bundle with the champion of that time."""

    holds: bool = Field(description="Whether the bundle may replace the champion")
    against: str = Field(description="Version of the champion")
    reasons: list[str] = Field(description="One per measure, overall and for the worst group")
    serves: str | None = Field(
        default=None,
        alias="for",
        description="Photos that it was retrained for: both, new or earlier; null if not stated",
    )
    table: list[dict[str, Any]] = Field(
        default=[], description="One row per comparison, on earlier and on new images"
    )


class BundleAnswer(BaseModel):
    """A bundle (weights and manifest) that workers have loaded or may load."""

    version: str
    state: str = Field(description="champion, candidate or retired")
    manifest: dict[str, Any]
    created_at: datetime
    promoted_at: datetime | None = Field(description="When the bundle last became the champion")
    verdict: VerdictAnswer | None = Field(description="Null if the bundle was not compared")


class BundleList(BaseModel):
    """All bundles, the newest first."""

    model_config = _example(
        models=[
            {
                "version": "2026-03-01-inception",
                "state": "champion",
                "manifest": {"backbone": "inception_v3", "heads": ["age", "gender", "race"]},
                "created_at": "2026-03-01T09:00:00Z",
                "promoted_at": "2026-03-01T09:05:00Z",
                "verdict": {
                    "holds": True,
                    "against": "2026-02-01-inception",
                    "reasons": ["age RMSE: 7.301 years against 7.432, 0.131 better: holds"],
                },
            }
        ]
    )

    models: list[BundleAnswer]


class PromotionRequest(Strict):
    """A wish to promote a bundle."""

    force: bool = Field(False, description="Also if it did not pass its comparison")


class PromotionAnswer(BaseModel):
    """A change of champion."""

    version: str
    previous: str | None
    rollback: bool
    created_at: datetime


class PromotionList(BaseModel):
    """Changes of champion, the newest first."""

    promotions: list[PromotionAnswer]


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """The state of each part of the service: `ok` or what is wrong."""

    model_config = _example(
        status="degraded",
        parts={
            "database": "ok",
            "queue": "ok",
            "storage": "ok",
            "disk": "ok",
            "worker": "none seen",
            "sweeper": "ok",
            "erasure": "ok",
        },
    )

    status: Literal["ok", "degraded", "unavailable"]
    parts: dict[str, str]


class Fault(BaseModel):
    """One error in a request."""

    loc: list[str | int]
    message: str


class Problem(BaseModel):
    """An error as a problem document (RFC 9457)."""

    model_config = _example(
        type="urn:facetag:problem:request-invalid",
        title="The request is not valid",
        status=422,
        detail="The request has 1 fault: see `errors`.",
        request_id="5f1b0c6e1b7a4d0c8f0e4d6a2b9c7e31",
        errors=[
            {"loc": ["body", "images", 3], "message": "the key must begin with tenants/local/"}
        ],
    )

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None
    errors: list[Fault] | None = None
