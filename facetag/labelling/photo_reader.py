"""Fetch and decode images in threads, each image by itself."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import structlog
from PIL.Image import Image, fromarray
from structlog.contextvars import bound_contextvars, get_contextvars

from facetag.errors import (
    ErrorCode,
    ImageUnreadable,
    ObjectMissing,
    ObjectRefused,
    ServiceUnavailable,
    SettingsInvalid,
)
from facetag.labelling.isolated_decoder import IsolatedDecoder
from facetag.labelling.outcomes import ImageToLabel, Outcome
from facetag.settings import Settings
from facetag.storage.object_keys import holds_photos, thumbnail_key
from facetag.vision.difference_hash import hash_look
from facetag.vision.image_decoder import decode_picture, needs_guard
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.photo import WORKING_SIDE, Picture
from facetag.vision.thumbnail import MEDIA_TYPE

Decode = Callable[[bytes], Picture]
"""Raises ImageUnreadable."""

MAX_PIXELS_AHEAD = 64_000_000
"""Once so many pixels of a chunk are in memory (3 bytes each), no further image is started."""

REFUSALS = 8
"""Releases (4 minutes, by the doubled backoff) after which a refused object is a failed image.
Object storage refuses everything for a while when it starts or when its keys are replaced."""

NOT_OURS = "The object is neither a photo of the job's tenant nor in a source bucket."
INTERNAL = "facetag failed on this image: see the worker's log. A retry may help."

log = structlog.get_logger(__name__)


class Source(Protocol):
    """Describe where images are read from: `facetag.storage.client.Storage`, or a fake."""

    def fetch(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """Return an object's bytes; raises ObjectMissing, ObjectRefused, ImageUnreadable,
        StorageUnavailable, SettingsInvalid.
        """


@dataclass(frozen=True, slots=True)
class Photo:
    """Hold an image that is ready to be labelled, and the look of its photo (`hash_look`)."""

    image: ImageToLabel
    picture: Picture
    look: bytes | None
    stage_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class Unread:
    """Hold an image that is given back unread.

    It is `away` if object storage did not deliver it or no process started to decode it, for this
    `reason`.
    """

    image: ImageToLabel
    away: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Make the small copy of a photo as JPEG, and store it under a key and a media type.

    `store` raises StorageUnavailable and SettingsInvalid.
    """

    make: Callable[[Image], bytes]
    store: Callable[[str, bytes, str], None]

    def keep(self, image: ImageToLabel, tenant_id: str, data: bytes) -> None:
        """Store the thumbnail of an image; without it, the page shows the labels alone."""
        try:
            self.store(thumbnail_key(tenant_id, image.bucket, image.key), data, MEDIA_TYPE)
        except (ServiceUnavailable, SettingsInvalid) as error:
            log.warning("thumbnail_lost", reason=str(error))


class PhotoReader:
    """Fetch in `threads` threads, and decode whenever a CPU slot is free.

    Images that a worker died of, and images that may take much memory or time, go to
    `decode_suspect` if it is given. With `thumbnails`, a small copy of every photo of a tenant's
    job is stored. Images that `may_read` refuses fail unread.
    """

    def __init__(
        self,
        source: Source,
        decode: Decode,
        *,
        decode_suspect: Decode | None = None,
        thumbnails: Thumbnails | None = None,
        slots: CpuSlots,
        max_bytes: int,
        threads: int,
        max_pixels_ahead: int = MAX_PIXELS_AHEAD,
        on_close: Callable[[], None] = lambda: None,
        may_read: Callable[[ImageToLabel], bool] = lambda image: True,
    ) -> None:
        self._source = source
        self._decode = decode
        self._decode_suspect = decode_suspect or decode
        self._thumbnails = thumbnails
        self._slots = slots
        self._max_bytes = max_bytes
        self._may_read = may_read
        self._max_pixels_ahead = max_pixels_ahead
        self._on_close = on_close
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="read")

    def close(self) -> None:
        """End the threads, and the process that decodes suspects."""
        self._threads.shutdown()
        self._on_close()

    def read(
        self,
        images: Sequence[ImageToLabel],
        *,
        tenant_id: str | None = None,
        stopping: Callable[[], bool] = lambda: False,
        on_progress: Callable[[], None] = lambda: None,
    ) -> list[Photo | Outcome | Unread]:
        """Return, in order, each image's photo, its failure, or that it was not read.

        Without a `tenant_id` no thumbnails are stored. Images stay unread if object storage is
        unavailable, once `stopping` is true, and once the chunk's photos fill their share of
        memory.
        """
        ahead = _Budget(self._max_pixels_ahead)
        # What the caller's lines in the log say, such as the job, these threads' lines say too.
        context = get_contextvars()

        def read_one(image: ImageToLabel) -> Photo | Outcome | Unread:
            if stopping() or ahead.spent:
                return Unread(image, away=False)
            with bound_contextvars(**context | {"image": image.id}):
                result = self._read_one(image, tenant_id)
            if isinstance(result, Photo):
                ahead.spend(result.picture.pixels_held)
            on_progress()
            return result

        return list(self._threads.map(read_one, images))

    def _read_one(self, image: ImageToLabel, tenant_id: str | None) -> Photo | Outcome | Unread:
        watch = _Watch()
        if not self._may_read(image):
            log.warning("image_not_ours", bucket=image.bucket)
            return Outcome.failure(image.id, ErrorCode.OBJECT_REFUSED, NOT_OURS)
        try:
            data = self._source.fetch(image.bucket, image.key, self._max_bytes)
            watch.lap("fetch")
            with self._slots.take(ahead=True):
                watch.lap(None)
                guarded = image.suspicion or needs_guard(data)
                picture = (self._decode_suspect if guarded else self._decode)(data)
                watch.lap("decode")
                small = fromarray(picture.copy)
                look = hash_look(small)
                kept = self._thumbnails if tenant_id is not None else None
                thumbnail = kept.make(small) if kept is not None else b""
            if kept is not None and tenant_id is not None:
                kept.keep(image, tenant_id, thumbnail)
        except ImageUnreadable as error:
            return Outcome.failure(image.id, error.code, str(error), watch.stage_ms)
        except ObjectMissing as error:
            return Outcome.failure(image.id, ErrorCode.OBJECT_MISSING, str(error), watch.stage_ms)
        except ObjectRefused as error:
            if image.releases >= REFUSALS:
                code = ErrorCode.OBJECT_REFUSED
                return Outcome.failure(image.id, code, str(error), watch.stage_ms)
            log.warning("image_refused", reason=str(error))
            return Unread(image, away=True, reason=str(error))
        except (ServiceUnavailable, SettingsInvalid) as error:
            log.warning("image_away", reason=str(error))
            return Unread(image, away=True, reason=str(error))
        except Exception:
            log.exception("read_failed", bucket=image.bucket)
            return Outcome.failure(image.id, ErrorCode.INTERNAL_ERROR, INTERNAL, watch.stage_ms)
        return Photo(image, picture, look, watch.stage_ms)


def make_reader(
    source: Source,
    settings: Settings,
    slots: CpuSlots,
    *,
    may_read: Callable[[ImageToLabel], bool],
    thumbnails: Thumbnails | None = None,
) -> PhotoReader:
    """Return a reader that decodes within the limits of the settings."""
    decode_suspect = IsolatedDecoder(settings)
    return PhotoReader(
        source,
        make_decode(settings),
        decode_suspect=decode_suspect,
        thumbnails=thumbnails,
        slots=slots,
        max_bytes=settings.max_image_bytes,
        threads=settings.fetch_threads,
        on_close=decode_suspect.close,
        may_read=may_read,
    )


def only_photos_of_the_tenant(settings: Settings) -> Callable[[ImageToLabel], bool]:
    """Return the check that an image lies where its tenant's photos may lie."""

    def may_read(image: ImageToLabel) -> bool:
        return holds_photos(image.bucket, image.key, tenant_id=image.tenant_id, settings=settings)

    return may_read


def make_decode(settings: Settings) -> Decode:
    """Return the function that decodes a file to a picture within the limits of the settings."""

    def decode(data: bytes) -> Picture:
        return decode_picture(
            data,
            formats=settings.image_formats,
            max_pixels=settings.max_image_pixels,
            copy_side=WORKING_SIDE,
        )

    return decode


class _Budget:
    """Count down an amount that threads share."""

    def __init__(self, amount: int) -> None:
        self._left = amount
        self._lock = threading.Lock()

    @property
    def spent(self) -> bool:
        return self._left <= 0

    def spend(self, amount: int) -> None:
        with self._lock:
            self._left -= amount


class _Watch:
    """Measure the milliseconds between laps."""

    def __init__(self) -> None:
        self.stage_ms: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, stage: str | None) -> None:
        """Record the time since the last lap for a stage; with None, discard it."""
        now = time.perf_counter()
        if stage is not None:
            self.stage_ms[stage] = 1000 * (now - self._since)
        self._since = now
