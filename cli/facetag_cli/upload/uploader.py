"""Send photos to object storage: each content once, and only what is missing there."""

import hashlib
import mimetypes
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache

from tenacity import (
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    wait_exponential,
)

from facetag.client.api_client import (
    TRANSIENT_STATUSES,
    UPLOAD_BATCH,
    ApiClient,
    UploadTarget,
    WantedFile,
)
from facetag.errors import ErrorCode, RequestRejected, StorageUnavailable
from facetag.image_formats import CONTENT_TYPE, IMAGE_SUFFIXES, may_hold_script
from facetag.inputs.photo_files import LocalPhoto, unreadable
from facetag_cli.upload.form_poster import FormPoster, FormsUnanswered
from facetag_cli.upload.hash_cache import HashCache

BATCH = 200
"""Photos that are read and hashed before their forms are requested."""
SEND_THREADS = 16
SEND_ATTEMPTS = 5
FIRST_PAUSE_S = 0.25

# One content has one key, whichever spelling of JPEG its name ends in.
_SAME_SUFFIX = {".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".tiff": ".tif"}

_UNTYPED = "application/octet-stream"

_NOT_YET = ""
"""The key of a photo whose outcome is not known yet."""

Advance = Callable[[int, int], None]
"""Takes the number of finished photos and their bytes."""
FindKey = Callable[[LocalPhoto, "Content"], str | None]
"""Returns the key of a photo that object storage is known to have; None for any other."""


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a photo, which decides its object key."""

    sha256: str
    size: int
    suffix: str

    @property
    def file_name(self) -> str:
        """The last part of the object's key."""
        return f"{self.sha256}{self.suffix}"

    def as_wanted(self) -> WantedFile:
        """Return the content as the API's request has it."""
        return {
            "sha256": self.sha256,
            "size": self.size,
            "suffix": self.suffix,
            "content_type": _type_of(self.suffix),
        }


@dataclass(frozen=True, slots=True)
class NotSent:
    """The reason why a photo did not reach object storage."""

    code: ErrorCode
    message: str


@dataclass(slots=True)
class UploadReport:
    """The outcome of each photo, in order: its key, or the reason why it was not sent."""

    outcomes: list[str | NotSent] = field(default_factory=list)
    sent: int = 0
    sent_bytes: int = 0

    @property
    def failed(self) -> int:
        """The number of photos that did not reach object storage."""
        return sum(isinstance(outcome, NotSent) for outcome in self.outcomes)

    @property
    def already(self) -> int:
        """The number of photos whose content was there before or equals another photo's."""
        return len(self.outcomes) - self.failed - self.sent


@dataclass(frozen=True, slots=True)
class UploadBatch:
    """Photos that are ready to be sent, with their contents and the targets of new ones."""

    places: Sequence[int]
    """Where the photos stand among all that are sent."""
    photos: Sequence[LocalPhoto]
    contents: Sequence[Content | NotSent]
    fresh: dict[Content, LocalPhoto]
    """Contents that are new in this run, each with the first photo that has it."""
    uploads: Sequence[UploadTarget]
    """One target per content of `fresh`."""

    def missing(self) -> Iterator[tuple[Content, LocalPhoto, UploadTarget]]:
        """Yield the new contents that object storage does not have."""
        for (content, photo), upload in zip(self.fresh.items(), self.uploads, strict=True):
            if upload["post"] is not None:
                yield content, photo, upload


class Uploader:
    """Send photos through presigned forms, several at a time.

    While one batch is sent, the next one is hashed and its forms are requested. Photos that must be
    hashed come first: they are likely new, and what is known of the others is found meanwhile.

    Raises StorageUnavailable or ApiUnavailable if a server does not answer. What was sent stays,
    and another run continues from there. A single photo that is refused is only reported. Photos
    of which `find_key` tells the key are there: the service is not asked.
    """

    def __init__(
        self,
        client: ApiClient,
        hashes: HashCache,
        *,
        max_bytes: int,
        first_pause_s: float = FIRST_PAUSE_S,
        find_key: FindKey = lambda photo, content: None,
    ) -> None:
        self._client = client
        self._hashes = hashes
        self._find_key = find_key
        self._max_bytes = max_bytes
        self._first_pause_s = first_pause_s
        self._met: set[Content] = set()
        self._keys: dict[Content, str | NotSent] = {}

    def upload(self, photos: Sequence[LocalPhoto], advance: Advance) -> UploadReport:
        """Send the photos, and call `advance` after each one."""
        report = UploadReport([_NOT_YET] * len(photos))
        with FormPoster(SEND_THREADS) as poster, ThreadPoolExecutor(SEND_THREADS) as threads:
            sender = Sender(self._client, poster, first_pause_s=self._first_pause_s)
            sending: deque[tuple[UploadBatch, Iterator[str | NotSent]]] = deque()
            try:
                for batch in self._prepare_ahead(photos):
                    # Queued behind the previous batch: no thread idles during its last photos.
                    outcomes = threads.map(lambda missing: sender.send(*missing), batch.missing())
                    sending.append((batch, outcomes))
                    if len(sending) > 1:
                        self._settle(*sending.popleft(), report, advance)
                while sending:
                    self._settle(*sending.popleft(), report, advance)
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        return report

    def _prepare_ahead(self, photos: Sequence[LocalPhoto]) -> Iterator[UploadBatch]:
        # Only one thread: a batch's contents decide which of the next batch are new.
        with ThreadPoolExecutor(1) as ahead:
            batches = self._divide(photos)
            coming = ahead.submit(next, batches, None)
            while (batch := coming.result()) is not None:
                coming = ahead.submit(next, batches, None)
                yield batch

    def _divide(self, photos: Sequence[LocalPhoto]) -> Iterator[UploadBatch]:
        """Yield batches of at most BATCH photos to hash, then of UPLOAD_BATCH that are known."""
        faults = {
            place: fault for place, photo in enumerate(photos) if (fault := self._fault_of(photo))
        }
        readable = [place for place in range(len(photos)) if place not in faults]
        recalled = self._hashes.recall([photos[place] for place in readable])
        known = {
            place: Content(sha256, photos[place].size, key_suffix(photos[place]))
            for place, sha256 in zip(readable, recalled, strict=True)
            if sha256 is not None
        }
        for place, content in known.items():
            if (key := self._find_key(photos[place], content)) is not None:
                self._keys[content] = key
                self._met.add(content)
        new = [place for place in range(len(photos)) if place not in known]
        for start in range(0, len(new), BATCH):
            places = new[start : start + BATCH]
            yield self._prepare(places, photos, faults | self._read(places, photos, faults))
        places = list(known)
        for start in range(0, len(places), UPLOAD_BATCH):
            yield self._prepare(places[start : start + UPLOAD_BATCH], photos, known)

    def _read(
        self, places: Sequence[int], photos: Sequence[LocalPhoto], faults: Mapping[int, NotSent]
    ) -> dict[int, Content | NotSent]:
        """Return the contents of those photos that have no fault."""
        readable = [place for place in places if place not in faults]
        digests = self._hashes.read([photos[place] for place in readable])
        return {
            place: _unreadable(digest)
            if isinstance(digest, OSError)
            else Content(digest, photos[place].size, key_suffix(photos[place]))
            for place, digest in zip(readable, digests, strict=True)
        }

    def _prepare(
        self,
        places: Sequence[int],
        photos: Sequence[LocalPhoto],
        contents: Mapping[int, Content | NotSent],
    ) -> UploadBatch:
        fresh: dict[Content, LocalPhoto] = {}
        for place in places:
            content = contents[place]
            if isinstance(content, Content) and content not in self._met:
                fresh.setdefault(content, photos[place])
        self._met |= fresh.keys()
        uploads = self._request_uploads(fresh)
        return UploadBatch(
            places,
            [photos[place] for place in places],
            [contents[place] for place in places],
            fresh,
            uploads,
        )

    def _request_uploads(self, fresh: dict[Content, LocalPhoto]) -> list[UploadTarget]:
        """Return one target per content; those that the service refuses leave `fresh`."""
        if not fresh:
            return []
        try:
            return self._client.request_uploads([content.as_wanted() for content in fresh])
        except RequestRejected as error:
            contents = list(fresh)
            refused = {
                contents[place]: reason
                for place, reason in error.refused_files.items()
                if place < len(contents)
            }
            if not refused:
                raise
        for content, reason in refused.items():
            self._keys[content] = NotSent(
                ErrorCode.UPLOAD_FAILED, f"The service refused the file: {reason.rstrip('.')}."
            )
            del fresh[content]
        return self._request_uploads(fresh)

    def _settle(
        self,
        batch: UploadBatch,
        outcomes: Iterator[str | NotSent],
        report: UploadReport,
        advance: Advance,
    ) -> None:
        for (content, photo), upload in zip(batch.fresh.items(), batch.uploads, strict=True):
            is_missing = upload["post"] is not None
            self._keys[content] = outcome = next(outcomes) if is_missing else upload["key"]
            if isinstance(outcome, str) and is_missing:
                report.sent += 1
                report.sent_bytes += content.size
            advance(1, photo.size)
        for place, photo, held in zip(batch.places, batch.photos, batch.contents, strict=True):
            report.outcomes[place] = self._keys[held] if isinstance(held, Content) else held
            if not (isinstance(held, Content) and batch.fresh.get(held) is photo):
                advance(1, photo.size)

    def _fault_of(self, photo: LocalPhoto) -> NotSent | None:
        refusal = photo.refusal(self._max_bytes)
        return None if refusal is None else NotSent(*refusal)


class Sender:
    """Send single photos, each in its thread, and try again if that may succeed."""

    def __init__(
        self, client: ApiClient, poster: FormPoster, *, first_pause_s: float = FIRST_PAUSE_S
    ) -> None:
        self._client = client
        self._poster = poster
        self._first_pause_s = first_pause_s

    def send(self, content: Content, photo: LocalPhoto, upload: UploadTarget) -> str | NotSent:
        """Send one photo; return its key, or the reason why object storage refuses it."""
        try:
            data = photo.read_bytes()
        except OSError as error:
            return _unreadable(error)
        # A key stands for its content, so a file that changed meanwhile must not get it.
        if hashlib.sha256(data).hexdigest() != content.sha256:
            return NotSent(
                ErrorCode.FILE_UNREADABLE,
                "The file changed while it was read. Run the command again.",
            )
        status, reason = self._post(upload, data)
        if status == 403:
            # The form has expired: request a new one.
            (upload,) = self._client.request_uploads([content.as_wanted()])
            if upload["post"] is None:
                # Another run has sent the content meanwhile.
                return upload["key"]
            status, reason = self._post(upload, data)
        if 200 <= status < 400:
            return upload["key"]
        return NotSent(
            ErrorCode.UPLOAD_FAILED, f"Object storage refused the file ({status} {reason})."
        )

    def _post(self, upload: UploadTarget, data: bytes) -> tuple[int, str]:
        post = upload["post"] or {}
        retrying = Retrying(
            retry=retry_if_exception_type(FormsUnanswered) | retry_if_result(_is_transient),
            stop=stop_after_attempt(SEND_ATTEMPTS),
            wait=wait_exponential(multiplier=self._first_pause_s),
            # The last answer counts, or the last error.
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )
        try:
            answer: tuple[int, str] = retrying(self._poster.post, post["url"], post["fields"], data)
        except FormsUnanswered as error:
            raise StorageUnavailable(
                f"Object storage does not accept the photos ({error}). Run the same command "
                "again later: what was sent is not sent again."
            ) from error
        return answer


def _is_transient(answer: tuple[int, str]) -> bool:
    return answer[0] == 500 or answer[0] in TRANSIENT_STATUSES


@cache
def _type_of(suffix: str) -> str:
    """Return the content type of files with this suffix; none that the API refuses."""
    guess = mimetypes.guess_type(f"photo{suffix}")[0] or _UNTYPED
    # A worker then says of this photo alone that it cannot be read.
    is_accepted = re.match(CONTENT_TYPE, guess) and not may_hold_script(guess)
    return guess if is_accepted else _UNTYPED


def key_suffix(photo: LocalPhoto) -> str:
    """Return the suffix of the photo's key: lower case, one spelling per format.

    A suffix that is none of an image is left out: it may be longer than keys allow.
    """
    suffix = photo.suffix if photo.suffix in IMAGE_SUFFIXES else ""
    return _SAME_SUFFIX.get(suffix, suffix)


def _unreadable(error: OSError) -> NotSent:
    return NotSent(ErrorCode.FILE_UNREADABLE, unreadable(error))
