"""Define the tables. Postgres is the truth: every state, count and result is a row here."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class ImageState(StrEnum):
    """`queued -> running -> tagged | no_face | failed | cancelled`; see docs/architecture.md."""

    QUEUED = "queued"
    RUNNING = "running"
    TAGGED = "tagged"
    NO_FACE = "no_face"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobState(StrEnum):
    """`listing -> queued -> running -> completed | completed_with_errors | failed | cancelled`."""

    LISTING = "listing"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL_JOB_STATES = frozenset(
    {
        JobState.COMPLETED,
        JobState.COMPLETED_WITH_ERRORS,
        JobState.FAILED,
        JobState.CANCELLED,
    }
)

WANTED_ESTIMATE = "estimate IS NOT NULL AND NOT estimate ?| array['shares', 'error']"
"""Of a job whose shares somebody asked for and no worker has estimated yet."""


def _one_of(column: str, states: type[StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(state.value) for state in states)})"


class RetrainingState(StrEnum):
    """`queued -> running -> promoted | candidate | refused | failed | cancelled`.

    `promoted`: its bundle is the champion. `candidate`: its bundle passed the comparison but was
    not to be promoted. `refused`: its bundle did not pass the comparison with the champion. A
    retraining goes back from `running` to `queued` when its trainer worker dies, stops or must
    wait.
    """

    QUEUED = "queued"
    RUNNING = "running"
    PROMOTED = "promoted"
    CANDIDATE = "candidate"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Base(DeclarativeBase):
    """Declare the tables; every timestamp has a time zone."""

    type_annotation_map = {
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        str: Text,
        uuid.UUID: Uuid,
    }


class Job(Base):
    """A request to label a list of images, or all images below a prefix.

    The count columns follow the images' states: in the same transaction, or, if many workers serve
    the job at once, within moments (`CountChange`). They always add up to `total`, which is null
    while a prefix is being listed.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(_one_of("state", JobState), name="jobs_state"),
        UniqueConstraint("tenant_id", "idempotency_key", name="jobs_idempotency"),
        Index("jobs_newest", "tenant_id", text("created_at DESC"), text("id DESC")),
        Index("jobs_open", "state", postgresql_where=text("finished_at IS NULL")),
        Index(
            "jobs_without_photos",
            "finished_at",
            postgresql_where=text("NOT keep_photos AND finished_at IS NOT NULL"),
        ),
        Index("jobs_deleted", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
        Index("jobs_estimate_wanted", "id", postgresql_where=text(WANTED_ESTIMATE)),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    state: Mapped[str]
    name: Mapped[str | None]
    priority: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    """Above 0 for `predict`, whose jobs are claimed before all others."""
    source_bucket: Mapped[str | None]
    source_prefix: Mapped[str | None]
    listing_cursor: Mapped[str | None]
    idempotency_key: Mapped[str | None]
    request_sha256: Mapped[str | None]
    total: Mapped[int | None]
    queued: Mapped[int] = mapped_column(server_default="0")
    running: Mapped[int] = mapped_column(server_default="0")
    tagged: Mapped[int] = mapped_column(server_default="0")
    no_face: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0")
    cancelled: Mapped[int] = mapped_column(server_default="0")
    reuse: Mapped[bool] = mapped_column(server_default=text("true"))
    """Whether images may be finished with results that are known already."""
    reused: Mapped[int] = mapped_column(server_default="0")
    """Number of images that were finished with the result of another one, of any job."""
    known: Mapped[dict[str, Any] | None]
    """Number of images by state that were finished when the job was made; null if none was."""
    error: Mapped[str | None]
    """Why the whole job failed, for example because its prefix could not be listed."""
    heads: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """The attributes to label; null for all that workers label."""
    purpose: Mapped[str | None]
    """What the labels are for, as the caller states it."""
    aggregate: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """The counts of a job that keeps no result (`jobs.aggregates`); null for other jobs."""
    keep_photos: Mapped[bool] = mapped_column(server_default=text("true"))
    """Whether the photos in our bucket stay as long as the job, for retagging and review."""
    photos_deleted_at: Mapped[datetime | None]
    """When the labelled photos of a job that does not keep them were given up."""
    estimate: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True), deferred=True)
    """The estimated shares that were asked for (`reviews.share_estimates`); null if never."""
    deleted_at: Mapped[datetime | None]
    """When the job was deleted. Nobody sees it any more; the sweeper deletes what is left of it."""
    rung_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Image(Base):
    """One image of one job, with its claim and, when finished, its outcome and provenance."""

    __tablename__ = "images"
    __table_args__ = (
        CheckConstraint(_one_of("state", ImageState), name="images_state"),
        UniqueConstraint("job_id", "position", name="images_order"),
        Index(
            "images_claimable",
            "job_id",
            "suspicion",
            "position",
            postgresql_where=text("state = 'queued'"),
        ),
        Index("images_leased", "lease_until", postgresql_where=text("state = 'running'")),
        Index("images_by_state", "job_id", "state", "position"),
        Index("images_by_key", "bucket", "key"),
        Index(
            "images_by_content",
            "tenant_id",
            "content",
            "labelling_key",
            postgresql_where=text("content IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[str]
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(Integer)
    bucket: Mapped[str]
    key: Mapped[str]
    name: Mapped[str]
    content: Mapped[bytes | None]
    """SHA-256 of the bytes, or of bucket, key, ETag and size; null if neither is known."""
    state: Mapped[str] = mapped_column(server_default=ImageState.QUEUED.value)
    claim_token: Mapped[uuid.UUID | None]
    claimed_by: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    """Time at which a worker began on this image under the present claim; null before."""
    not_before: Mapped[datetime | None]
    """Earliest time for a claim: the backoff after a transient fault."""
    releases: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    suspicion: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    """Number of workers that died while they worked on this image. It is
    `jobs.reuse.identical_images.WAITING` while the image waits for the result of an image of its
    job with the same content."""
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    model_version: Mapped[str | None]
    incomplete: Mapped[bool] = mapped_column(server_default=text("false"))
    """True if the image was labelled although its file lacks its last bytes."""
    stage_ms: Mapped[dict[str, Any] | None]
    """Milliseconds per stage: fetch, decode, detect, crop, predict."""
    labelling_key: Mapped[bytes | None]
    """Key of what decided the labels (`bundles.labelling_key`); null unless tagged or no_face."""
    reused_from: Mapped[int | None] = mapped_column(BigInteger)
    """Id of the image whose result this is; that image may be deleted. Null if it was labelled."""
    look: Mapped[bytes | None]
    """Difference hash of a labelled image (`vision.difference_hash`); null for a blank one."""
    duplicate_of: Mapped[int | None]
    """Position of the image of the job that this one repeats; set when the job closes."""
    finished_at: Mapped[datetime | None]


class CountChange(Base):
    """A change of a job's counts that waits to be applied, as others held the job's row.

    Workers of one job would wait for one another at its row otherwise (`facetag.jobs.counts`).
    """

    __tablename__ = "count_changes"
    __table_args__ = (Index("count_changes_by_job", "job_id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    job_id: Mapped[uuid.UUID]
    """No foreign key: its check would lock the job's row too. A job that ends has none left."""
    queued: Mapped[int]
    running: Mapped[int]
    tagged: Mapped[int]
    no_face: Mapped[int]
    failed: Mapped[int]
    cancelled: Mapped[int]
    reused: Mapped[int]


class FaceRow(Base):
    """One face of one image. No embedding and no identity is ever stored."""

    __tablename__ = "faces"
    __table_args__ = (UniqueConstraint("image_id", "position", name="faces_order"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[str]
    image_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("images.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(SmallInteger)
    x: Mapped[int]
    y: Mapped[int]
    width: Mapped[int]
    height: Mapped[int]
    confidence: Mapped[float] = mapped_column(Float)
    attributes: Mapped[dict[str, Any]]
    """The JSON value of each head, as in the results."""


class KeyKind(StrEnum):
    """Name how a token is presented: in a header, in a one-time link, or in the page's cookie."""

    KEY = "key"
    LINK = "link"
    SESSION = "session"


class ApiKey(Base):
    """A key of the API; only the hash of its secret is kept."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint(_one_of("kind", KeyKind), name="api_keys_kind"),
        Index("api_keys_newest", text("created_at DESC"), "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    tenant_id: Mapped[str]
    name: Mapped[str]
    scope: Mapped[str]
    secret_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class Review(Base):
    """What one person says of one face, or of a face that the detector missed.

    A person's newest review of a face counts; an undone one is withdrawn and stays in the table.
    """

    __tablename__ = "reviews"
    __table_args__ = (
        CheckConstraint(
            "verdict IN ('accepted', 'corrected', 'cannot_tell', 'no_face', 'missed')",
            name="reviews_verdict",
        ),
        # Withdrawn ones too: an image is deleted with all its reviews.
        Index("reviews_by_image", "image_id"),
        Index("reviews_by_job", "job_id", postgresql_where=text("withdrawn_at IS NULL")),
        Index("reviews_by_face", "face_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[str]
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    image_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("images.id", ondelete="CASCADE"))
    face_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("faces.id", ondelete="CASCADE")
    )
    """Null for a missed face, and for a photo in which no face was missed."""
    reviewer: Mapped[str]
    key_id: Mapped[str]
    """The key with which the review was sent."""
    verdict: Mapped[str]
    age_low: Mapped[float | None] = mapped_column(Float)
    age_high: Mapped[float | None] = mapped_column(Float)
    """The band of years that the reviewer gave; both ends are equal for a number."""
    gender: Mapped[str | None]
    race: Mapped[str | None]
    x: Mapped[int | None]
    y: Mapped[int | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    """The box of a missed face, in pixels of the upright photo."""
    said: Mapped[dict[str, Any]]
    """The labels that counted before: the network's."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    withdrawn_at: Mapped[datetime | None]


class AuditLine(Base):
    """What somebody did: never a face, a photo's name or a label."""

    __tablename__ = "audit_lines"
    __table_args__ = (Index("audit_lines_newest", "tenant_id", text("id DESC")),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    tenant_id: Mapped[str]
    actor: Mapped[str]
    """The key's id and name, or the program that acted by itself."""
    action: Mapped[str]
    subject: Mapped[str]
    number: Mapped[int]


class Tombstone(Base):
    """An object of our bucket that must go; the row stays until it is gone."""

    __tablename__ = "tombstones"
    __table_args__ = (
        Index("tombstones_by_job", "job_id"),
        Index("tombstones_by_key", "tenant_id", "key"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[str]
    job_id: Mapped[uuid.UUID]
    key: Mapped[str]
    attempts: Mapped[int] = mapped_column(server_default="0")
    not_before: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class UploadPromise(Base):
    """A photo of our bucket of which a client was told that it is there, so that it stays."""

    __tablename__ = "upload_promises"
    __table_args__ = (Index("upload_promises_oldest", "until"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    """It begins with the tenant's prefix, so no two tenants share it."""
    tenant_id: Mapped[str]
    until: Mapped[datetime]


class ProgramRound(Base):
    """When a program that works in rounds, such as the sweeper, last ended one."""

    __tablename__ = "program_rounds"

    name: Mapped[str] = mapped_column(primary_key=True)
    ended_at: Mapped[datetime]


class ProgramReportRow(Base):
    """What a worker or sweeper last reported of itself (facetag.db.program_reports)."""

    __tablename__ = "program_reports"

    name: Mapped[str] = mapped_column(primary_key=True)
    reported_at: Mapped[datetime]
    report: Mapped[dict[str, Any]]


class BundleState(StrEnum):
    """`candidate -> champion -> retired`, and back to `champion` by a rollback."""

    CANDIDATE = "candidate"
    CHAMPION = "champion"
    RETIRED = "retired"


class Model(Base):
    """A bundle that workers have loaded or may load, with its manifest."""

    __tablename__ = "models"
    __table_args__ = (
        CheckConstraint(_one_of("state", BundleState), name="models_state"),
        Index(
            "models_one_champion",
            "tenant_id",
            unique=True,
            postgresql_where=text("state = 'champion'"),
        ),
    )

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    manifest: Mapped[dict[str, Any]]
    """The bundle's manifest, with its `parent`, `weights_sha256`, `metrics` and more."""
    files: Mapped[dict[str, Any] | None]
    """SHA-256 of each file in object storage, by name; null if the bundle is only on a disk."""
    verdict: Mapped[dict[str, Any] | None]
    """The comparison with the champion of that time; null if there was none."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    promoted_at: Mapped[datetime | None]


class Promotion(Base):
    """A change of champion. Numbers only grow, so a worker knows which change is newer."""

    __tablename__ = "promotions"
    __table_args__ = (Index("promotions_newest", "tenant_id", text("number DESC")),)

    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[str]
    version: Mapped[str]
    previous: Mapped[str | None]
    rollback: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Shard(Base):
    """A shard that a bundle was fitted on, or a test set that none may be fitted on."""

    __tablename__ = "shards"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[str | None]
    """The bundle that was fitted on the shard; null for a test set."""
    domain: Mapped[str | None]
    """The collection that its photos come from; null in rows from before there were domains."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ShardImage(Base):
    """One usable image of a shard: its hashes and the part of the data it belongs to."""

    __tablename__ = "shard_images"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "shard"],
            ["shards.tenant_id", "shards.sha256"],
            name="shard_images_shard",
            ondelete="CASCADE",
        ),
        Index("shard_images_by_content", "tenant_id", "sha256"),
    )

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    shard: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(primary_key=True)
    difference_hash: Mapped[bytes]
    part: Mapped[str]
    """`training`, `validation`, `calibration`, `holdout` or `test`."""


class Retraining(Base):
    """A retraining in the queue, with its claim and, when finished, its outcome."""

    __tablename__ = "retrainings"
    __table_args__ = (
        CheckConstraint(_one_of("state", RetrainingState), name="retrainings_state"),
        # At most one retraining may be open.
        Index(
            "retrainings_one_open",
            "tenant_id",
            unique=True,
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index("retrainings_newest", "tenant_id", text("created_at DESC")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=RetrainingState.QUEUED.value)
    shards: Mapped[dict[str, Any]]
    """Lists `new`, `earlier` and `tests` of `{"url"}` or `{"name", "sha256"}`."""
    options: Mapped[dict[str, Any]]
    """`replay`, `precision`, `for`, `fit`, `domain`, `leave_out`, `again`, `promote`."""
    claim_token: Mapped[uuid.UUID | None]
    claimed_by: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    """Earliest time for a claim, while another retraining runs."""
    rung_at: Mapped[datetime | None]
    stage: Mapped[str | None]
    """The present stage, in words."""
    epoch: Mapped[int | None]
    """The present epoch, from 1."""
    step: Mapped[int] = mapped_column(server_default="0")
    """Finished steps, over all epochs."""
    steps: Mapped[int | None]
    deaths: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    """Trainer workers that died in a row without getting past `died_at_step`."""
    died_at_step: Mapped[int] = mapped_column(server_default="0")
    version: Mapped[str | None]
    """The bundle that was fitted."""
    verdict: Mapped[dict[str, Any] | None]
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class RetrainingLine(Base):
    """A line of a retraining's log. The oldest are deleted when there are too many."""

    __tablename__ = "retraining_lines"
    __table_args__ = (Index("retraining_lines_in_order", "retraining_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[str]
    retraining_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("retrainings.id", ondelete="CASCADE")
    )
    text: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
