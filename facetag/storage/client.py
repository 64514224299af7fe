"""Fetch, store, list and presign objects over S3, within bounded time."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from facetag.errors import (
    ErrorCode,
    ImageUnreadable,
    ObjectMissing,
    ObjectRefused,
    SettingsInvalid,
    StorageRefused,
    StorageUnavailable,
)
from facetag.settings import Settings

if TYPE_CHECKING:
    from facetag.storage.fast_path import PresignedPost, ThinS3

PRESIGNED_S = 3600
LOCAL_HOSTS = ("127.0.0.1", "localhost")
SCHEMES = ("http://", "https://")
_PORT = re.compile(r":[0-9]+$")
CHUNK_BYTES = 2**20
DELETE_BATCH = 1000
"""The most keys that S3 takes in one DeleteObjects."""


_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
"""Codes of a missing object. HEAD has no body, so botocore gives the status as the code."""
_MISSING_BUCKET = frozenset({"NoSuchBucket", "404", "NotFound"})
_REFUSED = frozenset({"403", "AccessDenied", "Forbidden"})
_REFUSALS = _REFUSED | {
    "AllAccessDisabled",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidObjectState",
    "SignatureDoesNotMatch",
}
"""Codes of a refusal: no permission, unknown or expired keys, an archived object."""
_CORS_REFUSED = frozenset({"AccessDenied", "MethodNotAllowed", "NotImplemented"})
_TRANSIENT = frozenset({"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException"})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Download:
    """An object that is being read: its ETag, its size in bytes and its chunks."""

    etag: str
    size: int
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object of a listing; its ETag changes with its bytes."""

    key: str
    etag: str
    size: int
    modified: datetime


def content_of_object(bucket: str, listed: ListedObject) -> bytes:
    """Return a digest that changes with an object's bytes, which nobody has to read for it."""
    identity = "\0".join((bucket, listed.key, listed.etag, str(listed.size)))
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).digest()


class Storage:
    """Read and write our own bucket, and read source buckets.

    Source buckets are read over the clients of our own, or over those of `sources` by their name.
    Threads may share it. Transient errors are raised as StorageUnavailable, after the client's own
    attempts.
    """

    def __init__(
        self,
        client: Any,
        thin: "ThinS3",
        bucket: str,
        region: str,
        *,
        origins: Sequence[str] = (),
        operator: "Storage | None" = None,
        sources: Mapping[str, tuple[Any, "ThinS3"]] = MappingProxyType({}),
    ) -> None:
        self._client = client
        self._sources = sources
        self._thin = thin
        self.bucket = bucket
        self._region = region
        self._origins = origins
        self._operator = operator

    @property
    def operator(self) -> "Storage":
        """The bucket of bundles and shards."""
        return self._operator or self

    def ensure_bucket(self) -> None:
        """Create the buckets if they are missing, and let the API's page use ours in browsers.

        Raises SettingsInvalid if the credentials are refused, and StorageUnavailable.
        """
        with _translated_errors():
            for storage in (self, self.operator):
                if not storage._has_bucket():
                    storage._create_bucket()
            self._admit_page()

    def fetch(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """Return an object's bytes.

        Raises ObjectMissing, ObjectRefused, ImageUnreadable (`too_many_bytes`) for more than
        `max_bytes`, and StorageUnavailable.
        """
        with _translated_errors():
            with _translated_refusals(bucket, key):
                found = self._thin_of(bucket).fetch(bucket, key, max_bytes)
            if found is not None:
                return found
            answer = self._get_object(bucket, key)
            # The body as a context manager gives the raw stream, whose errors are not translated.
            with closing(answer["Body"]) as body:
                size = answer["ContentLength"]
                if size > max_bytes:
                    raise ImageUnreadable(
                        ErrorCode.TOO_MANY_BYTES,
                        f"The file has {size} bytes; at most {max_bytes} are read "
                        "(FACETAG_MAX_IMAGE_BYTES).",
                    )
                data: bytes = body.read()
                return data

    @contextmanager
    def download(self, bucket: str, key: str) -> Iterator[Download]:
        """Open an object of any size as a context; its bytes are read as chunks are taken.

        Raises ObjectMissing, ObjectRefused and StorageUnavailable, also while chunks are read.
        """
        with _translated_errors():
            answer = self._get_object(bucket, key)
            with closing(answer["Body"]) as body:
                chunks = body.iter_chunks(CHUNK_BYTES)
                yield Download(answer["ETag"], answer["ContentLength"], chunks)

    def exists(self, key: str) -> bool:
        """Return whether our bucket holds an object under this key."""
        from botocore.exceptions import ClientError

        if (found := self._thin.exists(self.bucket, key)) is not None:
            return found
        with _translated_errors():
            try:
                self._client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if _code(error) in _MISSING:
                    return False
                raise
            return True

    @property
    def is_lenient(self) -> bool:
        """Return whether the store, asked by `exists`, takes form fields that nobody signed."""
        return self._thin.is_lenient

    def presign_post(
        self, key: str, *, size: int, content_type: str, sha256: str, is_lenient: bool = False
    ) -> "PresignedPost":
        """Return a form that stores exactly `size` bytes under exactly `key` within an hour.

        A store that checks checksums refuses bytes with another `sha256` (in hex). State if it
        `is_lenient`: it is made to refuse fields that are not in the form.
        """
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        fields = {
            "Content-Type": content_type,
            "x-amz-checksum-algorithm": "SHA256",
            "x-amz-checksum-sha256": checksum,
        }
        conditions: list[Any] = [{name: value} for name, value in fields.items()]
        conditions.append(["content-length-range", size, size])
        with _translated_errors():
            return self._thin.presign_post(
                self.bucket, key, fields, conditions, PRESIGNED_S, is_lenient=is_lenient
            )

    def presign_get(self, bucket: str, key: str) -> str:
        """Return a URL at which whoever has it reads one object for an hour."""
        with _translated_errors():
            url: str = self._client_of(bucket).generate_presigned_url(
                "get_object", {"Bucket": bucket, "Key": key}, ExpiresIn=PRESIGNED_S
            )
            return url

    def origin_of(self, bucket: str) -> str:
        """Return the origin (scheme, host and port) at which a bucket is read and written."""
        parts = urlsplit(self.presign_get(bucket, "-"))
        return f"{parts.scheme}://{parts.netloc}"

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store bytes under a key of our bucket."""
        with _translated_errors():
            if self._thin.put(self.bucket, key, data, content_type):
                return
            self._client.put_object(
                Bucket=self.bucket, Key=key, Body=data, ContentType=content_type
            )

    def put_file(self, key: str, path: Path) -> None:
        """Store a file of any size under a key of our bucket; large files go in parts."""
        with _translated_errors(), path.open("rb") as file:
            self._client.upload_fileobj(file, self.bucket, key)

    def fetch_file(self, key: str, path: Path) -> None:
        """Write an object of our bucket, of any size, to a file; raises ObjectMissing."""
        from botocore.exceptions import ClientError

        with _translated_errors(), path.open("wb") as file:
            try:
                self._client.download_fileobj(self.bucket, key, file)
            except ClientError as error:
                if _code(error) in _MISSING | _MISSING_BUCKET:
                    raise ObjectMissing(f"There is no object s3://{self.bucket}/{key}.") from error
                raise

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects of our bucket; a missing object counts as deleted."""
        left = iter(keys)
        while batch := list(islice(left, DELETE_BATCH)):
            with _translated_errors():
                answer = self._client.delete_objects(
                    Bucket=self.bucket,
                    Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True},
                )
            if errors := answer.get("Errors"):
                raise StorageUnavailable(
                    f"{len(errors)} objects could not be deleted, the first because of "
                    f"{errors[0].get('Code')}: try again."
                )

    def list_prefix(
        self, bucket: str, prefix: str, cursor: str | None, limit: int = 1000
    ) -> tuple[Sequence[ListedObject], str | None]:
        """Return up to `limit` objects (at most 1000) after `cursor`, and the next cursor.

        A cursor is the last key of a page and stays valid for ever; None after the last page.
        Raises ObjectMissing if the bucket does not exist, StorageRefused and StorageUnavailable.
        """
        from botocore.exceptions import ClientError

        arguments = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": limit}
        if cursor is not None:
            arguments["StartAfter"] = cursor
        with _translated_errors():
            try:
                answer = self._client_of(bucket).list_objects_v2(**arguments)
            except ClientError as error:
                if _code(error) in _MISSING_BUCKET:
                    raise ObjectMissing(f"There is no bucket {bucket}.") from error
                raise
        listed = answer.get("Contents", ())
        found = [
            ListedObject(item["Key"], item.get("ETag", ""), item["Size"], item["LastModified"])
            for item in listed
            # SeaweedFS with an index in SQL takes `_` and `%` for any letters.
            if item["Key"].startswith(prefix)
        ]
        return found, listed[-1]["Key"] if listed and answer.get("IsTruncated") else None

    def ping(self) -> None:
        """Check that our bucket is there; raises StorageUnavailable."""
        with _translated_errors():
            if not self._has_bucket():
                raise StorageUnavailable(
                    f"Object storage has no bucket {self.bucket}: run `facetag migrate`."
                )

    def _client_of(self, bucket: str) -> Any:
        return self._sources[bucket][0] if bucket in self._sources else self._client

    def _thin_of(self, bucket: str) -> "ThinS3":
        return self._sources[bucket][1] if bucket in self._sources else self._thin

    def _get_object(self, bucket: str, key: str) -> Any:
        with _translated_refusals(bucket, key):
            return self._client_of(bucket).get_object(Bucket=bucket, Key=key)

    def _has_bucket(self) -> bool:
        from botocore.exceptions import ClientError

        try:
            self._client.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if _code(error) in _REFUSED:
                raise SettingsInvalid(
                    f"Object storage refuses access to the bucket {self.bucket}: check "
                    "FACETAG_S3_ACCESS_KEY, FACETAG_S3_SECRET_KEY and FACETAG_S3_BUCKET."
                ) from error
            if _code(error) not in _MISSING_BUCKET:
                raise
            return False
        return True

    def _create_bucket(self) -> None:
        from botocore.exceptions import ClientError

        # AWS demands the region of a new bucket, but refuses it in us-east-1.
        place = (
            {}
            if self._region == "us-east-1"
            else {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
        )
        try:
            self._client.create_bucket(Bucket=self.bucket, **place)
        except ClientError as error:
            if _code(error) != "BucketAlreadyOwnedByYou" and not self._has_bucket():
                raise

    def _admit_page(self) -> None:
        from botocore.exceptions import ClientError

        rule = {
            "AllowedMethods": ["POST", "GET", "HEAD"],
            "AllowedOrigins": list(self._origins),
            "AllowedHeaders": ["*"],
            "MaxAgeSeconds": 3600,
        }
        try:
            self._client.put_bucket_cors(
                Bucket=self.bucket, CORSConfiguration={"CORSRules": [rule]}
            )
        except ClientError as error:
            if _code(error) not in _CORS_REFUSED:
                raise
            # Some stores accept any page anyway; in others only an administrator sets the rules.
            log.warning("cors_left_alone", bucket=self.bucket, reason=_code(error))


def make_storage(settings: Settings, *, public: bool = False, pool_size: int = 16) -> Storage:
    """Make the client of FACETAG_S3_ENDPOINT_URL, or of AWS if that is not set.

    With `public`, the client is for FACETAG_S3_PUBLIC_ENDPOINT_URL: it presigns forms for clients.
    Raises SettingsInvalid if AWS variables that count are wrong.
    """
    import urllib3

    from facetag.storage.fast_path import ThinS3
    from facetag.storage.s3_session import (
        CONNECT_TIMEOUT_S,
        READ_TIMEOUT_S,
        open_client,
        open_source,
    )

    endpoint = settings.s3_endpoint_url
    if public and settings.s3_public_endpoint_url:
        endpoint = settings.s3_public_endpoint_url

    def add_thin(core: Any, client: Any) -> tuple[Any, ThinS3]:
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
        return client, ThinS3(core, client, pool_size=pool_size, timeout=timeout)

    client, thin = add_thin(*open_client(settings, endpoint, pool_size))
    return Storage(
        client,
        thin,
        settings.s3_bucket,
        settings.s3_region,
        origins=page_origins(settings),
        operator=Storage(client, thin, settings.operator_bucket, settings.s3_region),
        sources={
            bucket: add_thin(*open_source(settings, source, pool_size))
            for bucket, source in settings.source_access.items()
        },
    )


def page_origins(settings: Settings) -> list[str]:
    """Return the origins under which browsers know the API's page."""
    hosts = settings.allowed_hosts
    # With the port: SeaweedFS, for one, takes no pattern such as `http://127.0.0.1:*`.
    without_port = [host for host in hosts if not _PORT.search(host)]
    direct = [f"http://{host}:{settings.api_port}" for host in (*LOCAL_HOSTS, *without_port)]
    return [*direct, *(f"{scheme}{host}" for host in hosts for scheme in SCHEMES)]


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _is_of_role(error: Any) -> bool:
    """Return whether a role, which a source bucket names, may not be assumed."""
    return bool(error.operation_name == "AssumeRole")


@contextmanager
def _translated_refusals(bucket: str, key: str) -> Iterator[None]:
    """Raise ObjectMissing or ObjectRefused for an object that is not there, or not for us."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        if _code(error) in _MISSING | _MISSING_BUCKET:
            raise ObjectMissing(f"There is no object s3://{bucket}/{key}.") from error
        if _code(error) in _REFUSALS:
            remedy = (
                "let the role that FACETAG_SOURCE_ACCESS names be assumed"
                if _is_of_role(error)
                else "let FACETAG_S3_ACCESS_KEY read it"
            )
            raise ObjectRefused(
                f"Object storage refuses s3://{bucket}/{key} ({_code(error)}): {remedy}."
            ) from error
        raise


@contextmanager
def _translated_errors() -> Iterator[None]:
    from botocore import exceptions as boto

    try:
        yield
    except boto.NoCredentialsError as error:
        raise SettingsInvalid(
            "Object storage needs credentials: set FACETAG_S3_ACCESS_KEY and FACETAG_S3_SECRET_KEY."
        ) from error
    except (
        boto.ConnectionError,
        boto.HTTPClientError,
        boto.ResponseStreamingError,
        boto.IncompleteReadError,
        boto.CredentialRetrievalError,
        boto.MetadataRetrievalError,
    ) as error:
        raise StorageUnavailable(
            f"Object storage does not answer at FACETAG_S3_ENDPOINT_URL: check that it "
            f"runs. ({error})"
        ) from error
    except boto.ClientError as error:
        if _code(error) in _REFUSALS:
            # Who sweeps must go on with all else, and a right may come back.
            raise StorageRefused(
                f"Object storage refuses ({_code(error)}): check "
                + (
                    "the roles in FACETAG_SOURCE_ACCESS."
                    if _is_of_role(error)
                    else "the rights of FACETAG_S3_ACCESS_KEY, and FACETAG_S3_SECRET_KEY."
                )
            ) from error
        if _code(error) == "NoSuchBucket":
            raise StorageUnavailable(
                "Object storage has lost our bucket, or FACETAG_S3_BUCKET names another: "
                "run `facetag migrate`."
            ) from error
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status < 500 and status != 429 and _code(error) not in _TRANSIENT:
            raise
        raise StorageUnavailable(f"Object storage failed: try again. ({error})") from error
